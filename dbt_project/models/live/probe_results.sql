{{ landed("probe_results", "probe_id", folder="landing") }}
