{#- Pre-hook: the burn windows look at attempts of the last three days, so only those files are opened. -#}
{{
    config(
        pre_hook="set variable landed_days = (select coalesce(range(make_timestamp(epoch_us(as_of))::date - 4, make_timestamp(epoch_us(as_of))::date + 1, interval 1 day)::date[], []) from {{ ref('int_as_of') }})",
        post_hook="reset variable landed_days",
    )
}}

{%- set windows = {
    "5m": "5 minutes",
    "30m": "30 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "3d": "3 days",
} %}

with
    endpoints as (
        select * from {{ ref("dim_endpoint") }} where availability_slo is not null
    ),

    as_of as (select as_of from {{ ref("int_as_of") }} where as_of is not null),

    hours as (select * from {{ ref("int_slo_hour") }}),

    attempts as (
        select *
        from {{ ref("fct_probe") }}
        where {{ is_wanted_day("started_on") }} and is_counted and kind <> 'manual'
    ),

    over_window as (
        select
            endpoint_id,
            sum(counted)::bigint as counted,
            sum(good)::bigint as good,
            sum(bad)::bigint as bad
        from hours
        group by endpoint_id
    ),

    recent as (
        select
            attempts.endpoint_id,
            {%- for name, length in windows.items() %}
                count(*) filter (
                    started_at > as_of - interval '{{ length }}'
                ) as n_{{ name }},
                count(*) filter (
                    started_at > as_of - interval '{{ length }}' and not is_good
                ) as bad_{{ name }}
                {{- "," if not loop.last }}
            {%- endfor %}
        from attempts
        cross join as_of
        where started_at > as_of - interval '3 days' and started_at <= as_of
        group by attempts.endpoint_id
    ),

    budgeted as (
        select
            endpoints.*,
            as_of,
            coalesce(over_window.counted, 0) as counted,
            coalesce(over_window.good, 0) as good,
            coalesce(over_window.bad, 0) as bad,
            {{ budget_bad() }} as budget_bad,
            {%- for name in windows %}
                coalesce(n_{{ name }}, 0) as n_{{ name }},
                coalesce(bad_{{ name }}, 0) as bad_{{ name }}
                {{- "," if not loop.last }}
            {%- endfor %}
        from endpoints
        cross join as_of
        left join over_window on endpoints.endpoint_id = over_window.endpoint_id
        left join recent on endpoints.endpoint_id = recent.endpoint_id
    ),

    judged as (
        select
            *,
            good::double / nullif(counted, 0) as uptime,
            {{ wilson_low("good", "counted") }} as uptime_low,
            {{ wilson_high("good", "counted") }} as uptime_high,
            case
                when bad = 0 then 0.0 else bad / nullif(budget_bad, 0)
            end as budget_spent,
            budget_bad >= 1 as is_supported
        from budgeted
    ),

    final as (
        select
            endpoint_id,
            provider,
            project,
            availability_slo,
            {{ slo_window_start("as_of", "slo_window_s") }} as window_start_at,
            as_of as window_end_at,
            counted,
            good,
            bad,
            uptime,
            uptime_low,
            uptime_high,
            budget_bad,
            budget_spent,
            1 - budget_spent as budget_left,
            {%- for name in windows %}
                bad_{{ name }}::double
                / nullif(n_{{ name }}, 0)
                / nullif(1 - availability_slo, 0) as burn_{{ name }},
            {%- endfor %}
            {%- for name in windows %} n_{{ name }}, {%- endfor %}
            {%- for name in windows %} bad_{{ name }}, {%- endfor %}
            is_supported,
            case
                when is_supported and bad > budget_bad
                then 'broken'
                -- three, as for burn rates: one blip breaks no promise that the probe
                -- rate cannot show
                when uptime_high < availability_slo and bad >= 3
                then 'broken'
                when is_supported and uptime_low >= availability_slo
                then 'kept'
                else 'unproven'
            end as verdict,
            is_demo
        from judged
    )

select *
from final
