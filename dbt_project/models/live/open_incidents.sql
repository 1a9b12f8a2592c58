with events as ({{ landed("incident_events", "event_id") }}), {{ incidents("events") }}

select *
from incidents
where is_open
