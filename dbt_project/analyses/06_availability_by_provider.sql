-- Question: How available is each provider, and how sure are we?
-- Reading: the last 30 days with a 95 % Wilson interval. Two providers whose
-- intervals overlap are not told apart;
-- 100 % of a few attempts is "at least uptime_low", not perfection.
with
    facts as (
        select
            provider,
            sum(counted) as counted,
            sum(good) as good,
            sum(rate_limited) as rate_limited
        from fct_endpoint_daily
        where started_on > (select max(started_on) from fct_endpoint_daily) - 30
        group by provider
    ),

    bounds as (
        select
            *,
            (good + 1.9208) / (counted + 3.8416) as centre,
            1.96
            * sqrt(good * (counted - good) / counted + 0.9604)
            / (counted + 3.8416) as half_width
        from facts
        where counted > 0
    )

select
    provider,
    counted,
    counted - good as bad,
    round(good / counted, 5) as uptime,
    round(greatest(centre - half_width, 0), 5) as uptime_low,
    round(least(centre + half_width, 1), 5) as uptime_high,
    rate_limited
from bounds
order by uptime, provider
