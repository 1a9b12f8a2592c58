with
    answers as (select * from {{ ref("stg_discovery_results") }}),

    final as (select * exclude (landed_on, models_json) from answers)

select *
from final
