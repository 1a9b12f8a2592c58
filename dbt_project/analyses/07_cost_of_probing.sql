-- Question: What does probing cost, and how close is it to its budget?
-- Reading: one row per project and day, US dollars. Attempts without a known price
-- are counted in `unpriced` and are
-- missing in the sum: where it is not zero the true cost is higher.
select
    project,
    started_on,
    sum(attempts) as attempts,
    sum(cost_usd) as cost_usd,
    sum(unpriced) as unpriced,
    max(budget_usd_per_day) as budget_usd_per_day,
    round(sum(cost_usd) / nullif(max(budget_usd_per_day), 0), 4) as budget_used
from fct_probe_cost
group by project, started_on
order by started_on desc, project
