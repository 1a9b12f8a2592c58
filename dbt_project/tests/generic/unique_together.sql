{#- The columns together name one row: the grain. -#}
{% test unique_together(model, columns) %}
    select {{ columns | join(", ") }}, count(*) as n
    from {{ model }}
    group by all
    having count(*) > 1
{% endtest %}
