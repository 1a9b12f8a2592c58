{#-
    Bounds of the Wilson score interval at 95 %: E. B. Wilson, JASA 22 (1927); 1.959963984540054 is the normal
    quantile of 0.975. Null without trials.
-#}
{%- macro wilson_low(successes, trials) -%}
    case
        when {{ trials }} = 0
        then null
        when {{ successes }} = 0
        then 0.0::double
        else {{ _wilson(successes, trials, "-") }}
    end
{%- endmacro -%}

{%- macro wilson_high(successes, trials) -%}
    case
        when {{ trials }} = 0
        then null
        when {{ successes }} = {{ trials }}
        then 1.0::double
        else {{ _wilson(successes, trials, "+") }}
    end
{%- endmacro -%}

{%- macro _wilson(successes, trials, sign) -%}
    {%- set z = "1.959963984540054::double" -%}
    (
        ({{ successes }} + {{ z }} * {{ z }} / 2)
        {{ sign }} {{ z }} * sqrt(
            {{ successes }} * ({{ trials }} - {{ successes }})::double / {{ trials }}
            + {{ z }} * {{ z }} / 4
        )
    )
    / ({{ trials }} + {{ z }} * {{ z }})
{%- endmacro -%}

{#-
    Percentile of an ascending list by linear interpolation (numpy's default); null for an empty list, and below
    `least` values, where the figure would be the maximum in disguise.
-#}
{%- macro percentile(sorted, share, least=1) -%}
    case
        when coalesce(len({{ sorted }}), 0) < {{ least }}
        then null
        else
            {{ sorted }} [
                floor((len({{ sorted }}) - 1) * {{ share }}::double)::bigint + 1
            ] + (
                (len({{ sorted }}) - 1) * {{ share }}::double
                - floor((len({{ sorted }}) - 1) * {{ share }}::double)
            )
            * (
                {{ sorted }} [
                    ceil((len({{ sorted }}) - 1) * {{ share }}::double)::bigint + 1
                ] - {{ sorted }} [
                    floor((len({{ sorted }}) - 1) * {{ share }}::double)::bigint + 1
                ]
            )
    end
{%- endmacro -%}

{#-
    95 % order-statistic interval of the median (binomial, normal approximation of the rank, rounded outwards):
    ranks floor((n + 1 - 1.96 sqrt n) / 2) from either end. Null below six values: no interval holds 95 % there.
-#}
{%- macro median_low(sorted) -%}
    case when len({{ sorted }}) >= 6 then {{ sorted }} [{{ _median_rank(sorted) }}] end
{%- endmacro -%}

{%- macro median_high(sorted) -%}
    case
        when len({{ sorted }}) >= 6
        then {{ sorted }} [len({{ sorted }}) + 1 - {{ _median_rank(sorted) }}]
    end
{%- endmacro -%}

{%- macro _median_rank(sorted) -%}
    floor((len({{ sorted }}) + 1 - 1.96::double * sqrt(len({{ sorted }}))) / 2)::bigint
{%- endmacro -%}

{#-
    Error-adjusted percentile: every failure is an infinite latency, nearest rank over successes and failures
    together. Null below `least` attempts, and where the rank falls among the failures: there it is unbounded.
-#}
{%- macro error_adjusted(sorted, failures, share, least) -%}
    case
        when
            {{ _attempts(sorted, failures) }} >= {{ least }}
            and not {{ _is_unbounded(sorted, failures, share) }}
        then {{ sorted }} [{{ _nearest_rank(sorted, failures, share) }}]
    end
{%- endmacro -%}

{%- macro is_error_adjusted_unbounded(sorted, failures, share, least) -%}
    (
        {{ _attempts(sorted, failures) }} >= {{ least }}
        and {{ _is_unbounded(sorted, failures, share) }}
    )
{%- endmacro -%}

{%- macro _attempts(sorted, failures) -%}
    (coalesce(len({{ sorted }}), 0) + {{ failures }})
{%- endmacro -%}

{#- The share is exact hundredths, so that rank 19 of 20 is not pushed to 20 by a binary fraction. -#}
{%- macro _nearest_rank(sorted, failures, share) -%}
    ceil(
        {{ _attempts(sorted, failures) }} * {{ (share * 100) | round | int }} / 100
    )::bigint
{%- endmacro -%}

{%- macro _is_unbounded(sorted, failures, share) -%}
    ({{ _nearest_rank(sorted, failures, share) }} > coalesce(len({{ sorted }}), 0))
{%- endmacro -%}
