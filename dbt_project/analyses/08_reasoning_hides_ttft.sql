-- Question: Where does reasoning hide behind a good time to first token?
-- Reading: `hidden_ms` is what a user waits after the first token until something
-- visible appears. Zero means that
-- the model shows its first token; a large figure means that ttft alone would flatter
-- it.
select
    endpoint_id,
    count(*) as n,
    round(median(ttft_ms), 1) as ttft_p50_ms,
    round(median(ttfo_ms), 1) as ttfo_p50_ms,
    round(median(ttfo_ms - ttft_ms), 1) as hidden_ms,
    round(median(reasoning_tokens / output_tokens), 2) as reasoning_share
from fct_probe
where
    is_good
    and not is_maintained
    and clock = 'wire'
    and kind <> 'manual'
    and ttfo_ms is not null
group by endpoint_id
having median(ttfo_ms - ttft_ms) > 0
order by hidden_ms desc, endpoint_id
