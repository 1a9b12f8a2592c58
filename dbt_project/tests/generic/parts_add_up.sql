{#- Attempts are counted or excluded, counted ones good or bad, and each failure and exclusion has one blame. -#}
{% test parts_add_up(model) %}
    select *
    from {{ model }}
    where
        excluded + counted <> attempts
        or good + bad <> counted
        or bad_provider + bad_network + bad_other <> bad
        or excluded_us
        + excluded_shared
        + excluded_catalog
        + excluded_policy
        + excluded_probe
        + maintained
        <> excluded
{% endtest %}
