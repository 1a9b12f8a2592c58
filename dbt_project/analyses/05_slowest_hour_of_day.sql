-- Question: At which hour of the day is each model slowest?
-- Reading: hours are UTC. `slowdown` compares the hour's median time to first token
-- with the model's own median over
-- all hours; hours with fewer than 20 attempts are left out.
with
    by_hour as (
        select
            endpoint_id,
            hour(hour_at at time zone 'UTC') as hour_of_day,
            median(ttft_ms) as ttft_p50_ms,
            count(ttft_ms) as n
        from fct_probe
        where is_good and not is_maintained and clock = 'wire' and kind <> 'manual'
        group by endpoint_id, hour_of_day
    ),

    overall as (
        select endpoint_id, median(ttft_ms) as usual_ms
        from fct_probe
        where is_good and not is_maintained and clock = 'wire' and kind <> 'manual'
        group by endpoint_id
    )

select
    endpoint_id,
    hour_of_day,
    round(ttft_p50_ms, 1) as ttft_p50_ms,
    round(usual_ms, 1) as usual_ms,
    round(ttft_p50_ms / usual_ms, 2) as slowdown,
    n
from by_hour
inner join overall using (endpoint_id)
where n >= 20
qualify
    row_number() over (partition by endpoint_id order by ttft_p50_ms desc, hour_of_day)
    = 1
order by slowdown desc, endpoint_id
