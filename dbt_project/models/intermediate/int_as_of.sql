{#- The data's own now: a rebuild of the same files gives the same marts, whenever it runs. -#}
with
    ticks as (select max(ended_at) as newest from {{ ref("fct_tick") }}),

    attempts as (
        select max(last_attempt_at) as newest from {{ ref("int_endpoint_day") }}
    ),

    final as (
        select
            coalesce((select newest from ticks), (select newest from attempts)) as as_of
    )

select *
from final
