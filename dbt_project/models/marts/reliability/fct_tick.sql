{{
    config(
        materialized="by_day",
        days_of=["probe_ticks"],
        day="make_timestamp(epoch_us(started_at))::date",
    )
}}
-- depends_on: {{ ref("int_landed_days") }}
with
    ticks as (
        select *
        from {{ ref("stg_probe_ticks") }}
        where {{ is_wanted_day("landed_on") }}
    ),

    final as (
        select
            * exclude (landed_on),
            (epoch_us(ended_at) - epoch_us(started_at))::double / 1e6 as wall_s,
            (epoch_us(started_at) - epoch_us(scheduled_at))::double / 1e6 as start_lag_s
        from ticks
    )

select *
from final
