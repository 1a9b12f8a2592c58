with
    attempts as (select * from {{ portable(ref("probe_results")) }}),

    final as (select {{ probe_columns() }} from attempts)

select *
from final
