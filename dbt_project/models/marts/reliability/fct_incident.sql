with
    events as (select * from {{ ref("stg_incident_events") }}),

    {{ incidents("events") }}

select *
from incidents
