{{
    config(
        materialized="by_day",
        days_of=["probe_results", "endpoint_daily"],
        day="started_on",
    )
}}

with
    attempts as (
        -- one number to order by: a pair with probe_id costs three times as much over
        -- a year
        select *, epoch_us(started_at) * 1000 + attempt as newest
        from {{ ref("fct_probe") }}
        where {{ is_wanted_day("started_on") }}
    ),

    kept as (
        select *
        from {{ ref("stg_endpoint_daily") }}
        where {{ is_wanted_day("landed_on") }}
    ),

    landed_days as (
        select day
        from {{ ref("int_landed_days") }}
        where landed_table = 'probe_results'
    ),

    probed as (
        select
            endpoint_id,
            started_on,
            any_value(provider) as provider,
            any_value(model) as model,
            max_by(project, newest) as project,
            max_by(location, newest) as location,
            count(*) as attempts,
            sum(cost_usd)::decimal(38, 12) as cost_usd,
            count(*) filter (cost_usd is null) as unpriced,
            min(started_at) as first_attempt_at,
            max(started_at) as last_attempt_at,
            max(started_at) filter (is_good) as last_good_at,
            max_by(outcome, newest) as last_outcome,
            bool_or(is_demo) as is_demo
        from attempts
        group by endpoint_id, started_on
    ),

    expired as (
        select
            endpoint_id,
            landed_on as started_on,
            max(provider) as provider,
            max(model) as model,
            max(project) as project,
            max(location) as location,
            sum(attempts)::bigint as attempts,
            sum(cost_usd)::decimal(38, 12) as cost_usd,
            sum(unpriced)::bigint as unpriced,
            null::timestamptz as first_attempt_at,
            null::timestamptz as last_attempt_at,
            null::timestamptz as last_good_at,
            null::varchar as last_outcome,
            bool_or(is_demo) as is_demo
        from kept
        where landed_on not in (select day from landed_days)
        group by endpoint_id, landed_on
    )

select *
from probed
union all
select *
from expired
