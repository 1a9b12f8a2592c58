{{ landed("incident_events", "event_id") }}
