{#-
    The columns of fct_probe over rows of probe_results: the one definition of every metric (probing reference
    §2.2). Stamps are microseconds since t_start, metrics milliseconds; a moment that was not observed gives null.
-#}
{%- macro probe_columns() -%}
    probe_id,
    tick_id,
    endpoint_id,
    provider,
    model,
    project,
    location,
    kind,
    attempt,
    confirm_of,
    started_at,
    landed_on as started_on,
    {{ hour_of("started_at") }} as hour_at,
    outcome,
    blame,
    is_counted and not {{ is_maintained() }} as is_counted,
    is_good,
    {{ is_maintained() }} as is_maintained,
    error_type,
    error_message,
    status_code,
    {{ ms("t_byte_us") }} as ttfb_ms,
    {{ ms("t_event_us") }} as ttfe_ms,
    {{ ms("t_token_us") }} as ttft_ms,
    {{ ms("t_output_us") }} as ttfo_ms,
    {{ ms("(t_token_us - t_conn_us)") }} as ttft_server_ms,
    {{ ms("t_last_us") }} as e2e_ms,
    {{ ms("(t_end_us - t_last_us)") }} as stream_close_lag_ms,
    {{ ms("(t_last_us - t_token_us)") }} as decode_ms,
    {{ tpot_ms() }} as tpot_ms,
    {{ ms("gap_p50_us") }} as gap_p50_ms,
    {{ ms("gap_p95_us") }} as gap_p95_ms,
    {{ ms("gap_max_us") }} as gap_max_ms,
    1000 / {{ tpot_ms() }} as tps_decode,
    1e6 * output_tokens / nullif(t_last_us, 0) as tps_e2e,
    input_tokens,
    cached_tokens,
    output_tokens,
    output_tokens_source,
    reasoning_tokens,
    output_tokens::double / nullif(token_events, 0) as chunk_ratio,
    {{ ms("sched_lag_us") }} as sched_lag_ms,
    {{ ms("t_dns_us") }} as dns_ms,
    {{ ms("(t_tcp_us - coalesce(t_dns_us, 0))") }} as tcp_ms,
    {{ ms("(t_tls_us - t_tcp_us)") }} as tls_ms,
    conn_reused,
    is_answer_right,
    is_model_allowed,
    response_model,
    finish_reason,
    answer_preview,
    cost_usd,
    {{ ms("loop_lag_max_us") }} as loop_lag_max_ms,
    {{ ms("reference_error_us") }} as reference_error_ms,
    clock,
    decoded_by,
    dialect,
    tape_id,
    is_demo
{%- endmacro -%}

{#- Files that landed before the column existed were made outside any window that we know of. -#}
{%- macro is_maintained() -%} coalesce(is_maintained, false) {%- endmacro -%}

{%- macro ms(microseconds) -%} {{ microseconds }}::double / 1000 {%- endmacro -%}

{#-
    Decode time per output token after the first event's. Null for an answer of one event or one instant: the time
    between tokens was not observed there.
-#}
{%- macro tpot_ms() -%}
    case
        when
            token_events > 1
            and t_last_us > t_token_us
            and output_tokens - coalesce(first_event_tokens, 1) >= 1
        then
            (t_last_us - t_token_us)::double
            / 1000
            / (output_tokens - coalesce(first_event_tokens, 1))
    end
{%- endmacro -%}

{#- The UTC hour, whatever the session's time zone: date_trunc would follow the zone of who asks. -#}
{%- macro hour_of(at) -%}
    to_timestamp((epoch_us({{ at }}) - epoch_us({{ at }}) % 3600000000) / 1000000)
{%- endmacro -%}

{%- macro day_of(at) -%} make_timestamp(epoch_us({{ at }}))::date {%- endmacro -%}
