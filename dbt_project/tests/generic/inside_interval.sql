{#- Uptime lies between its bounds, and the bounds in 0..1. -#}
{% test inside_interval(model) %}
    select *
    from {{ model }}
    where
        not (
            0 <= uptime_low
            and uptime_low <= uptime
            and uptime <= uptime_high
            and uptime_high <= 1
        )
        or (uptime is null) <> (counted = 0)
{% endtest %}
