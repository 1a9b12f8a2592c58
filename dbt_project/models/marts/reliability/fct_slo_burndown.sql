with
    endpoints as (
        select * from {{ ref("dim_endpoint") }} where availability_slo is not null
    ),

    as_of as (select as_of from {{ ref("int_as_of") }} where as_of is not null),

    hours as (select * from {{ ref("int_slo_hour") }}),

    days as (
        select
            endpoint_id,
            {{ budget_bad() }} as budget_bad,
            is_demo,
            unnest(
                range(
                    {{ day_of(slo_window_start("as_of", "slo_window_s")) }},
                    {{ day_of("as_of") }} + 1,
                    interval 1 day
                )
            )::date as started_on
        from endpoints
        cross join as_of
    ),

    by_day as (
        select
            endpoint_id,
            started_on,
            sum(counted)::bigint as counted,
            sum(bad)::bigint as bad
        from hours
        group by endpoint_id, started_on
    ),

    summed as (
        select
            days.endpoint_id,
            days.started_on,
            coalesce(by_day.counted, 0) as counted,
            coalesce(by_day.bad, 0) as bad,
            sum(coalesce(by_day.bad, 0)) over (
                partition by days.endpoint_id
                order by days.started_on
                rows unbounded preceding
            )::bigint as bad_cumulative,
            days.budget_bad,
            days.is_demo
        from days
        left join
            by_day
            on days.endpoint_id = by_day.endpoint_id
            and days.started_on = by_day.started_on
    ),

    final as (
        select
            endpoint_id,
            started_on,
            counted,
            bad,
            bad_cumulative,
            budget_bad,
            case
                when bad_cumulative = 0
                then 1.0
                else 1 - bad_cumulative / nullif(budget_bad, 0)
            end as budget_left,
            is_demo
        from summed
    )

select *
from final
