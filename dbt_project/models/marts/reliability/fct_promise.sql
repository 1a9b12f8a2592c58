with
    latest_by_day as (select * from {{ ref("int_promise_day") }}),

    final as (
        select
            promise,
            subject,
            verdict,
            severity,
            observed,
            allowed,
            unit,
            n,
            bad,
            evaluated_at,
            max(last_good_at) over (partition by promise, subject) as last_good_at,
            detail_json,
            is_demo
        from latest_by_day
        qualify
            row_number() over (
                partition by promise, subject
                order by evaluated_at desc, evaluation_id desc
            )
            = 1
    )

select *
from final
