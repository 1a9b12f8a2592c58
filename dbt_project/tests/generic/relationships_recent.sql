{#- Each value is in `to`, on the open days. -#}
{% test relationships_recent(model, column_name, to, field, day) %}
    select distinct {{ column_name }}
    from {{ model }}
    where
        {{ day }} in (
            select day
            from {{ ref("int_landed_days") }}
            where landed_table = 'probe_results' and is_open
        )
        and {{ column_name }} not in (select {{ field }} from {{ to }})
{% endtest %}
