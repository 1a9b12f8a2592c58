with
    endpoint_days as (select * from {{ ref("int_endpoint_day") }}),

    endpoints as (select * from {{ ref("dim_endpoint") }}),

    final as (
        select
            endpoint_days.project,
            endpoint_id,
            endpoint_days.started_on,
            endpoint_days.attempts,
            endpoint_days.cost_usd,
            endpoint_days.unpriced,
            endpoints.probe_budget_usd_per_day as budget_usd_per_day,
            endpoint_days.is_demo
        from endpoint_days
        left join endpoints using (endpoint_id)
    )

select *
from final
