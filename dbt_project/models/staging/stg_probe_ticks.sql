{{ landed("probe_ticks", "tick_id") }}
