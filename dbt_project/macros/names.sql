{#- A model's schema is the one it names: marts live in `main`, where analysts look first. -#}
{%- macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro -%}

{#-
    A relation without its database: what a view that is copied into a published file may say, since there the
    database has another name.
-#}
{%- macro portable(relation) -%}
    {{ relation.include(database=false) if relation.database else relation }}
{%- endmacro -%}
