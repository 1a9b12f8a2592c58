with
    measurements as (select * from {{ ref("stg_disk_use") }}),

    final as (select * exclude (landed_on) from measurements)

select *
from final
