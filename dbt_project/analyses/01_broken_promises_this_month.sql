-- Question: Which endpoints broke their promise this month?
-- Reading: one row per endpoint whose uptime since the first of the month (UTC, by
-- the data's own clock) is below
-- its promise. `is_certain` says that even the upper bound of the interval is below;
-- otherwise few attempts failed it.
with
    month_facts as (
        select endpoint_id, sum(counted) as counted, sum(good) as good
        from fct_endpoint_daily
        where
            started_on
            >= (select date_trunc('month', max(started_on)) from fct_endpoint_daily)
        group by endpoint_id
    ),

    with_interval as (
        select
            *,
            good / counted as uptime,
            (good + 1.9208 + 1.96 * sqrt(good * (counted - good) / counted + 0.9604))
            / (counted + 3.8416) as uptime_high
        from month_facts
        where counted > 0
    )

select
    endpoint_id,
    owner,
    availability_slo,
    round(uptime, 5) as uptime,
    counted,
    counted - good as bad,
    uptime_high < availability_slo as is_certain
from with_interval
inner join dim_endpoint using (endpoint_id)
where uptime < availability_slo
order by uptime, endpoint_id
