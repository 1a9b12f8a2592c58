with
    tries as (select * from {{ ref("stg_notifications") }}),

    final as (select * exclude (landed_on) from tries)

select *
from final
