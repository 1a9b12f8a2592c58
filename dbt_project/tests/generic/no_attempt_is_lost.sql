{#- Every attempt of the small files that this run found is there: looked up again straight from the files. -#}
{% test no_attempt_is_lost(model) %}
    with
        known as (
            select unnest(small_files) as filename
            from {{ ref("int_landed_days") }}
            where landed_table = 'probe_results' and is_open
        ),

        landed as (
            select probe_id
            from
                read_parquet(
                    {{ landed_files("probe_results") }},
                    filename = true,
                    hive_partitioning = false,
                    union_by_name = true
                )
            where
                filename like '%/landing/%' and filename in (select filename from known)
        )

    select distinct probe_id
    from landed
    where probe_id not in (select probe_id from {{ model }})
{% endtest %}
