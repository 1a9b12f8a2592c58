with
    events as (select * from {{ ref("stg_incident_events") }}),

    final as (select * exclude (landed_on) from events)

select *
from final
