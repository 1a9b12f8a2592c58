{#- Attempts of fct_probe are in the facts exactly once, on the newest three days with attempts. -#}
{% test sums_equal_probes(model, day) %}
    with
        newest as (
            select day
            from {{ ref("int_landed_days") }}
            where landed_table = 'probe_results'
            order by day desc
            limit 3
        ),

        probes as (
            select
                started_on as day,
                count(*) as attempts,
                count(*) filter (is_counted and is_good) as good
            from {{ ref("fct_probe") }}
            where kind <> 'manual' and started_on >= (select min(day) from newest)
            group by started_on
        ),

        facts as (
            select {{ day }} as day, sum(attempts) as attempts, sum(good) as good
            from {{ model }}
            where {{ day }} >= (select min(day) from newest)
            group by 1
        )

    select *
    from probes
    full join facts using (day)
    where
        probes.attempts is distinct from facts.attempts
        or probes.good is distinct from facts.good
{% endtest %}
