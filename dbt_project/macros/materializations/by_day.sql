{#-
    A table that is rebuilt whole UTC days at a time. A run deletes and inserts exactly the days whose landed files
    changed since they were built (new, late, compacted, expired), and everything when the definition changed.

    config: `days_of`, the landed tables whose files decide; `day`, the SQL of a row's day; `days_at_once`, how many
    days one insert covers, which bounds memory. The model reads the wanted days only: see is_wanted_day().
    What each day was built from is kept in schema `bookkeeping`, in the same transaction as the rows.
-#}
{% materialization by_day, adapter = "duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set built = "bookkeeping." ~ adapter.quote(this.identifier) -%}
    {%- set day = config.require("day") -%}
    {%- set days_at_once = config.get("days_at_once", 31) -%}
    {%- set landed_days = (
        "(select day, md5(string_agg(fingerprint, '' order by landed_table)) as fingerprint from "
        ~ ref("int_landed_days")
        ~ " where landed_table in ('"
        ~ config.require("days_of")
        | join("', '") ~ "') group by day)"
    ) -%}
    {%- set contract = config.get("contract") -%}
    {%- set definition = local_md5(
        sql
        ~ probe_columns()
        ~ (model.columns | string if contract.enforced else "")
    ) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {%- if contract.enforced %} {{ get_assert_columns_equivalent(sql) }} {%- endif %}

    {%- do run_query(
        "create table if not exists "
        ~ built
        ~ " (day date, fingerprint varchar, definition varchar)"
    ) -%}
    {%- set known = (
        run_query("select distinct definition from " ~ built)
        .columns[0]
        .values()
        | list
    ) -%}
    {%- set is_fresh = (
        existing is none
        or existing.is_view
        or should_full_refresh()
        or known != [definition]
    ) -%}

    {%- if is_fresh %} {{ drop_relation_if_exists(existing) }} {%- endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set changed_sql -%}
        select coalesce(landed.day, built.day)::varchar as day, landed.fingerprint
        from {{ landed_days }} as landed
        full join (select * from {{ built }} where not {{ is_fresh | lower }}) as built on landed.day = built.day
        where landed.fingerprint is distinct from built.fingerprint
        order by 1
    {%- endset -%}
    {%- set changed = run_query(changed_sql).rows | list -%}

    {% call statement("main") -%}
        {%- if is_fresh %}
            delete from {{ built }}
            ;
            {%- if contract.enforced %}
                create table {{ target_relation }} {{ get_table_columns_and_constraints() }};
            {%- else %}
                set variable landed_days = []::date[]
                ;
                create table {{ target_relation }} as select * from ({{ sql }}) limit 0;
            {%- endif %}
        {%- endif %}
        {%- for days in changed | batch(days_at_once) %}
            set
                variable landed_days = [
                    {% for row in days %}
                        date '{{ row[0] }}'{{ ", " if not loop.last }}
                    {% endfor %}
                ]
            ;
            {%- if not is_fresh %}
                delete from {{ target_relation }}
                where list_contains(getvariable('landed_days')::date[], {{ day }})
                ;
                delete from {{ built }}
                where list_contains(getvariable('landed_days')::date[], day)
                ;
            {%- endif %}
            insert into {{ target_relation }} by name ({{ sql }}
            );
            insert into {{ built }} values
            {%- for row in days %}
                (date '{{ row[0] }}', {{ "'" ~ row[1] ~ "'" if row[1] else "null" }}, '{{ definition }}')
                {{- ", " if not loop.last }}
            {%- endfor %}
            ;
        {%- endfor %}
        delete from {{ built }}
        where fingerprint is null
        ;
        reset variable landed_days
        ;
        select 1
    {%- endcall %}

    {%- if is_fresh %} {% do persist_docs(target_relation, model) %} {%- endif %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}
