{{
    config(
        materialized="by_day",
        days_of=["probe_results", "endpoint_hourly"],
        day="make_timestamp(epoch_us(hour_at))::date",
        days_at_once=31,
    )
}}

with
    attempts as (
        select * from {{ ref("fct_probe") }} where {{ is_wanted_day("started_on") }}
    ),

    kept as (
        select *
        from {{ ref("stg_endpoint_hourly") }}
        where {{ is_wanted_day("landed_on") }}
    ),

    landed_days as (
        select day
        from {{ ref("int_landed_days") }}
        where landed_table = 'probe_results'
    ),

    {{ endpoint_facts("attempts", "hour_at") }},

    expired as (
        -- days kept before the column existed have no value in it
        select * exclude (landed_on) replace (coalesce(maintained, 0) as maintained)
        from kept
        where landed_on not in (select day from landed_days)
    ),

    final as (
        select *
        from measured
        union all by name
        select *
        from expired
    )

select *
from final
