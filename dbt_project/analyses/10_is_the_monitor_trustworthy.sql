-- Question: Is the monitor itself to be trusted?
-- Reading: one row per UTC day and location. Our own error (bias of the loopback
-- reference, lateness of the event
-- loop) should be small against the figures it measures; a gap is a stretch in which
-- nobody was watching, and says
-- nothing about the providers.
with
    sweeps as (
        select
            *,
            (started_at at time zone 'UTC')::date as started_on,
            epoch(
                started_at
                - lag(ended_at) over (partition by location order by started_at)
            ) as gap_s
        from fct_tick
    )

select
    started_on,
    location,
    count(*) as sweeps,
    sum(attempts) as attempts,
    round(median(reference_error_p50_us) / 1000, 3) as reference_error_p50_ms,
    round(max(reference_error_max_us) / 1000, 3) as reference_error_max_ms,
    round(max(loop_lag_max_us) / 1000, 1) as loop_lag_max_ms,
    round(max(start_lag_s), 1) as start_lag_max_s,
    round(max(gap_s), 0) as longest_gap_s,
    sum(skipped_no_time + skipped_over_budget) as skipped
from sweeps
group by started_on, location
order by started_on desc, location
