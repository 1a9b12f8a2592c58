{#- The key is unique on the newest three closed days: what compaction promises of an archive file. -#}
{% test days_hold_each_once(model, key, day) %}
    with
        newest as (
            select day
            from {{ ref("int_landed_days") }}
            where landed_table = 'probe_results' and not is_open
            order by day desc
            limit 3
        )

    select {{ key }}, count(*) as n
    from {{ model }}
    where {{ day }} in (select day from newest)
    group by {{ key }}
    having count(*) > 1
{% endtest %}
