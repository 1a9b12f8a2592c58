{{ landed("endpoint_catalog", "entry_id") }}
