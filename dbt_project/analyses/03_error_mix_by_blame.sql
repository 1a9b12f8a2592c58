-- Question: What fails, and whose fault is it?
-- Reading: attempts that were not ok in the last 30 days, by blame and class. Only
-- `is_counted` rows lower uptime:
-- a rate limit or a refused key is ours or shared, and is watched elsewhere.
select
    blame,
    outcome,
    is_counted,
    sum(attempts) as attempts,
    round(sum(attempts) / sum(sum(attempts)) over (), 4) as share,
    count(distinct endpoint_id) as endpoints,
    max(last_at) as last_at,
    max_by(example_message, last_at) as example_message
from fct_error
where hour_at > (select max(hour_at) from fct_error) - interval 30 days
group by blame, outcome, is_counted
order by attempts desc, outcome
