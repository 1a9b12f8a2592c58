{{ landed("discovery_results", "discovery_id") }}
