{{ config(materialized="view") }}

with
    open_days as (select * from {{ portable(ref("fct_probe_open")) }}),

    closed_days as (select * from {{ portable(ref("stg_probe_archive")) }}),

    final as (
        select *
        from open_days
        union all
        select {{ probe_columns() }}
        from closed_days
        where landed_on not in (select started_on from open_days)
    )

select *
from final
