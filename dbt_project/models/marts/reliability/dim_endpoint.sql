with
    catalog as (select * from {{ ref("stg_endpoint_catalog") }}),

    endpoint_days as (select * from {{ ref("int_endpoint_day") }}),

    refreshes as (
        select location, max_by(refresh_id, (refreshed_at, refresh_id)) as refresh_id
        from catalog
        group by location
    ),

    listed as (
        select
            *,
            min(refreshed_at) over (partition by endpoint_id) as first_listed_at,
            max(case when not is_retired then refreshed_at end) over (
                partition by endpoint_id
            ) as last_listed_at
        from catalog
        qualify
            row_number() over (
                partition by endpoint_id order by refreshed_at desc, entry_id desc
            )
            = 1
    ),

    probed as (
        select
            endpoint_id,
            max_by(provider, started_on) as provider,
            max_by(model, started_on) as model,
            max_by(project, started_on) as project,
            max_by(location, started_on) as location,
            max_by(is_demo, started_on) as is_demo,
            min(first_attempt_at) as first_attempt_at,
            max(last_attempt_at) as last_attempt_at,
            max(last_good_at) as last_good_at,
            max_by(last_outcome, last_attempt_at) as last_outcome
        from endpoint_days
        group by endpoint_id
    ),

    final as (
        select
            endpoint_id,
            coalesce(listed.provider, probed.provider) as provider,
            listed.provider_type,
            coalesce(listed.model, probed.model) as model,
            coalesce(listed.project, probed.project) as project,
            listed.owner,
            coalesce(listed.labels_json, '{}') as labels_json,
            coalesce(listed.location, probed.location) as location,
            listed.interval_s,
            listed.availability_slo,
            listed.slo_window_s,
            listed.ttft_slo_ms,
            listed.ttfo_slo_ms,
            listed.tps_slo,
            listed.is_free,
            coalesce(listed.is_demo, probed.is_demo) as is_demo,
            refreshes.refresh_id is not null and not listed.is_retired as is_active,
            coalesce(listed.is_retired, false) as is_retired,
            least(listed.first_listed_at, probed.first_attempt_at) as first_seen_at,
            greatest(listed.last_listed_at, probed.last_attempt_at) as last_seen_at,
            probed.last_attempt_at,
            probed.last_good_at,
            probed.last_outcome,
            listed.input_price_per_token_usd,
            listed.output_price_per_token_usd,
            listed.probe_budget_usd_per_day
        from listed
        full join probed using (endpoint_id)
        left join refreshes on listed.refresh_id = refreshes.refresh_id
    )

select *
from final
