-- Question: How long were the incidents, and who was affected?
-- Reading: one row per provider and project. Minutes run from the first bad attempt
-- to the end, open incidents up to
-- the newest sweep; `told_after_s` is the median wait between the first bad attempt
-- and the first message.
with as_of as (select max(ended_at) as as_of from fct_tick)

select
    provider,
    project,
    count(*) as incidents,
    count(*) filter (is_open) as still_open,
    round(sum(epoch(coalesce(resolved_at, as_of) - started_at)) / 60, 1) as minutes,
    round(
        max(epoch(coalesce(resolved_at, as_of) - started_at)) / 60, 1
    ) as longest_minutes,
    median(epoch(opened_at - started_at)) as told_after_s,
    list(distinct subject order by subject) as subjects,
    list(distinct owner order by owner) filter (owner is not null) as owners
from fct_incident
cross join as_of
group by provider, project
order by minutes desc, provider
