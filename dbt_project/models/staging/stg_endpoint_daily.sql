{#- Days whose attempts have expired, as housekeeping kept them. -#}
{%- do source("kept", "endpoint_daily") -%}
select * exclude (filename), {{ file_day() }} as landed_on
from
    read_parquet(
        {{ landed_files("endpoint_daily", folder="archive") }},
        filename = true,
        hive_partitioning = false,
        union_by_name = true
    )
where {{ file_day() }} is not null and {{ is_wanted_day(file_day()) }}
