-- Question: How long does the first token take, by model and week?
-- Reading: p95 over good attempts timed on the wire, in milliseconds, empty below n =
-- 20 where it would be the
-- maximum in disguise. Weeks begin on Monday, UTC. Look at n before you compare.
select
    model,
    date_trunc('week', started_on)::date as week,
    count(ttft_ms) as n,
    round(median(ttft_ms), 1) as ttft_p50_ms,
    case
        when count(ttft_ms) >= 20 then round(quantile_cont(ttft_ms, 0.95), 1)
    end as ttft_p95_ms
from fct_probe
where is_good and not is_maintained and clock = 'wire' and kind <> 'manual'
group by model, week
order by model, week
