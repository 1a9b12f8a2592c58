{#- No row keeps the condition. -#}
{% test never_true(model, condition) %}
    select * from {{ model }} where {{ condition }}
{% endtest %}
