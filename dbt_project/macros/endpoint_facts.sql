{#-
    The columns of fct_endpoint_hourly and fct_endpoint_daily over attempts, one row per endpoint, location and
    `period` (hour_at or started_on). Manual attempts are left out: a person chose the moment.
    Latencies are those of good attempts timed on the wire; speed needs a token count stated by the provider.
    Attempts made under maintenance are in attempts, excluded, maintained and the costs, and in no other figure.
-#}
{%- macro endpoint_facts(attempts, period) -%}
    grouped as (
        select
            endpoint_id,
            any_value(provider) as provider,
            any_value(model) as model,
            max_by(project, started_at) as project,
            location,
            {{ period }},
            count(*) as attempts,
            count(*) filter (is_counted) as counted,
            count(*) filter (is_counted and is_good) as good,
            count(*) filter (is_counted and not is_good) as bad,
            count(*) filter (not is_counted) as excluded,
            count(*) filter (
                is_counted and not is_good and blame = 'provider'
            ) as bad_provider,
            count(*) filter (
                is_counted and not is_good and blame = 'network'
            ) as bad_network,
            count(*) filter (
                is_counted and not is_good and blame not in ('provider', 'network')
            ) as bad_other,
            {%- for blame in ["us", "shared", "catalog", "policy", "probe"] %}
                count(*) filter (
                    is_judged and not is_counted and blame = '{{ blame }}'
                ) as excluded_{{ blame }},
            {%- endfor %}
            count(*) filter (not is_judged) as maintained,
            count(*) filter (is_judged and outcome = 'rate_limited') as rate_limited,
            count(*) filter (
                is_counted and not is_good and clock = 'wire'
            ) as wire_failures,
            list_sort(list(ttft_ms) filter (is_timed and ttft_ms is not null)) as ttfts,
            quantile_cont(ttfo_ms, [0.5, 0.95]) filter (is_timed) as ttfos,
            count(ttfo_ms) filter (is_timed) as n_ttfo,
            list_sort(
                list(tps_decode) filter (
                    is_timed
                    and output_tokens_source = 'usage'
                    and tps_decode is not null
                )
            ) as speeds,
            quantile_cont(e2e_ms, [0.5, 0.95]) filter (is_timed) as e2es,
            count(e2e_ms) filter (is_timed) as n_e2e,
            median(gap_p50_ms) filter (is_timed) as gap_p50_ms,
            count(is_answer_right) filter (is_judged) as answers_judged,
            count(*) filter (is_judged and not is_answer_right) as answers_wrong,
            count(*) filter (is_judged and not is_model_allowed) as models_wrong,
            sum(cost_usd)::decimal(38, 12) as cost_usd,
            count(*) filter (cost_usd is null) as unpriced,
            max(loop_lag_max_ms) as loop_lag_max_ms,
            median(reference_error_ms) as reference_error_p50_ms,
            bool_or(is_demo) as is_demo
        from
            (
                select
                    *,
                    not is_maintained as is_judged,
                    is_good and clock = 'wire' and not is_maintained as is_timed
                from {{ attempts }}
                where kind <> 'manual'
            )
        group by endpoint_id, location, {{ period }}
    ),

    measured as (
        select
            endpoint_id,
            provider,
            model,
            project,
            location,
            {{ period }},
            attempts,
            counted,
            good,
            bad,
            excluded,
            good::double / nullif(counted, 0) as uptime,
            {{ wilson_low("good", "counted") }} as uptime_low,
            {{ wilson_high("good", "counted") }} as uptime_high,
            bad_provider,
            bad_network,
            bad_other,
            excluded_us,
            excluded_shared,
            excluded_catalog,
            excluded_policy,
            excluded_probe,
            maintained,
            rate_limited,
            rate_limited::double
            / nullif(attempts - maintained, 0) as rate_limited_ratio,
            coalesce(len(ttfts), 0) as n_ttft,
            {{ percentile("ttfts", 0.5) }} as ttft_p50_ms,
            {{ median_low("ttfts") }} as ttft_p50_low_ms,
            {{ median_high("ttfts") }} as ttft_p50_high_ms,
            {{ percentile("ttfts", 0.95, least=20) }} as ttft_p95_ms,
            {{ percentile("ttfts", 0.99, least=100) }} as ttft_p99_ms,
            {{ error_adjusted("ttfts", "wire_failures", 0.95, least=20) }}
            as ttft_p95_adj_ms,
            {{ is_error_adjusted_unbounded("ttfts", "wire_failures", 0.95, least=20) }}
            as is_ttft_p95_adj_unbounded,
            ttfos[1] as ttfo_p50_ms,
            case when n_ttfo >= 20 then ttfos[2] end as ttfo_p95_ms,
            coalesce(len(speeds), 0) as n_tps,
            {{ percentile("speeds", 0.5) }} as tps_decode_p50,
            {{ median_low("speeds") }} as tps_decode_p50_low,
            {{ median_high("speeds") }} as tps_decode_p50_high,
            e2es[1] as e2e_p50_ms,
            case when n_e2e >= 20 then e2es[2] end as e2e_p95_ms,
            gap_p50_ms,
            answers_judged,
            answers_wrong,
            models_wrong,
            cost_usd,
            unpriced,
            loop_lag_max_ms,
            reference_error_p50_ms,
            is_demo
        from grouped
    )
{%- endmacro -%}
