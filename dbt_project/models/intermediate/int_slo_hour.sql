with
    hourly as (select * from {{ ref("fct_endpoint_hourly") }}),

    endpoints as (
        select * from {{ ref("dim_endpoint") }} where availability_slo is not null
    ),

    as_of as (select as_of from {{ ref("int_as_of") }} where as_of is not null),

    final as (
        select
            hourly.endpoint_id,
            hourly.hour_at,
            {{ day_of("hourly.hour_at") }} as started_on,
            sum(hourly.counted)::bigint as counted,
            sum(hourly.good)::bigint as good,
            sum(hourly.bad)::bigint as bad
        from hourly
        inner join endpoints on hourly.endpoint_id = endpoints.endpoint_id
        cross join as_of
        where
            hourly.hour_at >= {{ slo_window_start("as_of", "slo_window_s") }}
            and hourly.hour_at <= as_of
        group by hourly.endpoint_id, hourly.hour_at
    )

select *
from final
