{{ config(materialized="ephemeral") }}

{#- No window here: a year of it would not fit in memory, and compaction has written each key once. -#}
{%- do source("landed", "probe_results") -%}
select * exclude (filename), {{ file_day() }} as landed_on
from
    read_parquet(
        {{ landed_files("probe_results", folder="archive") }},
        filename = true,
        hive_partitioning = false,
        union_by_name = true
    )
where {{ file_day() }} is not null and {{ is_wanted_day(file_day()) }}
