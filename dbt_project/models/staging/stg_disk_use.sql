{{ landed("disk_use", "use_id") }}
