with
    recent as (select * from {{ portable(ref("fct_probe_recent")) }}),

    built as (select * from {{ portable(ref("fct_probe_open")) }}),

    attempts as (
        select *
        from recent
        union all
        select *
        from built
    ),

    final as (
        select *
        from attempts
        qualify
            row_number() over (
                partition by endpoint_id order by started_at desc, probe_id desc
            )
            = 1
    )

select *
from final
