{{
    config(
        materialized="by_day",
        days_of=["evaluations"],
        day="evaluated_on",
    )
}}
-- depends_on: {{ ref("int_landed_days") }}
with
    evaluations as (
        select *
        from {{ ref("stg_evaluations") }}
        where {{ is_wanted_day("landed_on") }}
    ),

    final as (
        select * exclude (landed_on), landed_on as evaluated_on
        from evaluations
        qualify
            row_number() over (
                partition by promise, subject, landed_on
                order by evaluated_at desc, evaluation_id desc
            )
            = 1
    )

select *
from final
