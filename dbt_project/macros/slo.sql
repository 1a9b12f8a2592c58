{#- Bad attempts that the promise allows among those that the window holds when every probe is done. -#}
{%- macro budget_bad() -%}
    round((1 - availability_slo) * (slo_window_s::double / interval_s), 9)
{%- endmacro -%}

{#- Windows begin on the hour, so that they are sums of whole rows of fct_endpoint_hourly. -#}
{%- macro slo_window_start(as_of, window_s) -%}
    {{ hour_of(as_of ~ " - to_seconds(" ~ window_s ~ ")") }}
{%- endmacro -%}
