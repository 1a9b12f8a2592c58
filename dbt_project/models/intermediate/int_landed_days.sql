{#-
    The files as they are when this run begins: what every later model of the run agrees on. A file that lands
    afterwards changes its day's fingerprint for the next run.
-#}
{%- set tables = ["probe_results", "probe_ticks", "evaluations"] -%}
{%- for table in tables %} {%- do source("landed", table) -%} {%- endfor %}
{%- for table in ["endpoint_hourly", "endpoint_daily"] %}
    {%- do source("kept", table) -%}
{%- endfor %}
with
    files as (
        {%- for table in tables + ["endpoint_hourly", "endpoint_daily"] %}
            select
                '{{ table }}' as landed_table,
                {{ file_day() }} as day,
                filename like '%/landing/%' as is_small,
                filename,
                concat_ws(
                    ' ', parse_filename(filename), size, epoch_us(last_modified)
                ) as file
            from read_blob({{ landed_files(table) }}) {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    final as (
        select
            landed_table,
            day,
            bool_or(is_small) as is_open,
            list(filename order by filename) filter (is_small) as small_files,
            md5(string_agg(file, '|' order by is_small, file)) as fingerprint
        from files
        where day is not null
        group by landed_table, day
    )

select *
from final
