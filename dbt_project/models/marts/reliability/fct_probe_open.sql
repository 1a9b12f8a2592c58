{#- Pre-hook: only the days that still have small files are read. -#}
{{
    config(
        pre_hook="set variable landed_days = (select coalesce(list(day), []) from {{ ref('int_landed_days') }} where landed_table = 'probe_results' and is_open)",
        post_hook="reset variable landed_days",
    )
}}

with
    attempts as (select * from {{ ref("stg_probe_results") }}),

    final as (
        select {{ probe_columns() }}
        from attempts
        -- a sweep that was run again after midnight wrote the same id under two days
        qualify row_number() over (partition by probe_id order by started_at) = 1
    )

select *
from final
