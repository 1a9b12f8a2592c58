{#-
    Folds incident events into incidents, one row per incident that was opened: CTE `incidents`.
    Within one instant the order of `kind` decides: an edge that opens comes before the one that resolves.
-#}
{%- macro incidents(events) -%}
    ordered as (
        select
            *,
            row_number() over (
                partition by incident_id
                order by
                    "at",
                    list_position(
                        [
                            'opened',
                            'blind',
                            'state',
                            'silenced',
                            'escalated',
                            'flapping',
                            'acknowledged',
                            'reminder',
                            'resolved'
                        ],
                        kind
                    ),
                    event_id
            ) as sequence
        from {{ events }}
    ),

    folded as (
        select
            incident_id,
            max_by(promise, sequence) as promise,
            max_by(subject, sequence) as subject,
            max_by(provider, sequence) as provider,
            max_by(project, sequence) as project,
            max_by(owner, sequence) as owner,
            max_by(severity, sequence) as severity,
            min(started_at) as first_bad_at,
            min("at") filter (kind in ('opened', 'blind', 'flapping')) as opened_at,
            max("at") filter (kind = 'resolved') as last_resolved_at,
            max(sequence) filter (kind = 'resolved') as resolved_sequence,
            max(sequence) filter (
                kind in ('opened', 'blind', 'flapping')
            ) as opened_sequence,
            min("at") filter (kind = 'acknowledged') as acknowledged_at,
            count(*) filter (kind = 'reminder') as reminders,
            max_by(state_to, sequence) as last_state,
            max_by(summary, sequence) filter (kind <> 'state') as summary,
            max_by(detail_json, sequence) filter (kind <> 'state') as detail_json,
            bool_or(is_demo) as is_demo
        from ordered
        group by incident_id
    ),

    incidents as (
        select
            incident_id,
            promise,
            subject,
            provider,
            project,
            owner,
            severity,
            coalesce(first_bad_at, opened_at) as started_at,
            opened_at,
            case
                when resolved_sequence > opened_sequence then last_resolved_at
            end as resolved_at,
            (
                epoch_us(resolved_at) - epoch_us(coalesce(first_bad_at, opened_at))
            )::double
            / 1e6 as duration_s,
            resolved_at is null as is_open,
            last_state = 'FLAPPING' as is_flapping,
            acknowledged_at,
            reminders,
            last_state,
            summary,
            detail_json,
            is_demo
        from folded
        where opened_at is not null
    )
{%- endmacro -%}
