{{
    config(
        materialized="by_day",
        days_of=["probe_results"],
        day="make_timestamp(epoch_us(hour_at))::date",
    )
}}
-- depends_on: {{ ref("int_landed_days") }}
with
    attempts as (
        select *
        from {{ ref("fct_probe") }}
        where
            {{ is_wanted_day("started_on") }}
            and outcome <> 'ok'
            and kind <> 'manual'
            and not is_maintained
    ),

    final as (
        select
            endpoint_id,
            max(provider) as provider,
            max_by(project, (started_at, probe_id)) as project,
            hour_at,
            outcome,
            max_by(blame, (started_at, probe_id)) as blame,
            max_by(is_counted, (started_at, probe_id)) as is_counted,
            count(*) as attempts,
            min(started_at) as first_at,
            max(started_at) as last_at,
            max_by(error_message, (started_at, probe_id)) as example_message,
            max_by(probe_id, (started_at, probe_id)) as example_probe_id,
            bool_or(is_demo) as is_demo
        from attempts
        group by endpoint_id, hour_at, outcome
    )

select *
from final
