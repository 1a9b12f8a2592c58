-- Question: Which answers were wrong, or came from a model that nobody asked for?
-- Reading: newest first. The endpoint was up all the same: quality and availability
-- are two promises. The probe asks
-- a sum whose answer is known, so a wrong one is wrong.
select
    started_at,
    endpoint_id,
    not coalesce(is_answer_right, true) as is_answer_wrong,
    not coalesce(is_model_allowed, true) as is_model_wrong,
    response_model,
    answer_preview,
    probe_id
from fct_probe
where not is_maintained and (is_answer_right = false or is_model_allowed = false)
order by started_at desc, probe_id
limit 200
