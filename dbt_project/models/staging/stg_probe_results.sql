{{ landed("probe_results", "probe_id") }}
