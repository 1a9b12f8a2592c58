{{ config(materialized="view") }}
{#- Each reference is read where it is used: a shared CTE makes count(*) read every column. -#}
select *
from {{ portable(ref("fct_probe_open")) }}
union all
select {{ probe_columns() }}
from {{ ref("stg_probe_archive") }}
where
    landed_on
    not in (select distinct started_on from {{ portable(ref("fct_probe_open")) }})
