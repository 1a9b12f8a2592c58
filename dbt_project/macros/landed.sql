{#-
    The home folder as DuckDB text: quotes doubled, glob characters taken literally.
-#}
{%- macro home_glob() -%}
    {{-
        env_var("ARGUSLAB_HOME") | replace("[", "[[]") | replace(
            "*", "[*]"
        ) | replace("?", "[?]") | replace("'", "''")
    -}}
{%- endmacro -%}

{#-
    One pattern for both folders: a list of two patterns is an error while one of them matches nothing, and the
    archive always holds schema.parquet. Spelled letter by letter so that `quarantine` and the like never match.
-#}
{%- macro landed_files(table, folder="both") -%}
    {%- if folder == "archive" -%} '{{ home_glob() }}/archive/{{ table }}/*.parquet'
    {%- else -%} '{{ home_glob() }}/[al][ar][nc][dh]i[nv][ge]*/{{ table }}/**/*.parquet'
    {%- endif -%}
{%- endmacro -%}

{#- The UTC day that a file's name carries: DuckDB opens only the files whose name passes a filter on it. -#}
{%- macro file_day() -%}
    try_cast(regexp_extract(filename, 'date=(\d{4}-\d{2}-\d{2})', 1) as date)
{%- endmacro -%}

{#-
    True for the days that the running model is asked to build; every day when none was named.
    Materialization `by_day` names them, and so may a pre-hook: set variable landed_days = [date '2026-01-31'].
-#}
{%- macro is_wanted_day(day) -%}
    (
        getvariable('landed_days') is null
        or list_contains(getvariable('landed_days')::date[], {{ day }})
    )
{%- endmacro -%}

{#-
    Every landed row of a source once, from landing and archive, with `landed_on`, the UTC day of its file.
    Where a key lies in several files of a day the last file wins, small files over the archive: what
    pipelines/landing.py keeps when it compacts, so a compaction changes no mart.
-#}
{%- macro landed(table, key, folder="both") -%}
    {%- do source("landed", table) -%}
    select * exclude (filename)
    from
        (
            select *, {{ file_day() }} as landed_on
            from
                read_parquet(
                    {{ landed_files(table) }},
                    filename = true,
                    hive_partitioning = false,
                    union_by_name = true
                )
            where
                {{ file_day() }} is not null and {{ is_wanted_day(file_day()) }}
                {%- if folder == "landing" %}
                    and filename like '%/landing/%'
                {%- endif %}
        )
    qualify
        row_number() over (
            partition by landed_on, {{ key }}
            order by filename like '%/landing/%' desc, filename desc
        )
        = 1
{%- endmacro -%}
