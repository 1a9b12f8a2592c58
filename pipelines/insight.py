"""The code location that may take its time: dbt, publication, pages. It can fail to load without silencing alerts."""

import dagster as dg

from pipelines import marts, reports
from pipelines.home import Home
from pipelines.resources import HomeResource

defs = dg.Definitions.merge(
    marts.build_defs(Home.locate()),
    reports.defs,
    dg.Definitions(executor=dg.in_process_executor, resources={"home": HomeResource()}),
)
