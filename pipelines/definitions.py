"""Both code locations as one module, for tools that want a single one, such as `dg dev` and `dg list defs`."""

import dagster as dg

from pipelines import alerts, housekeeping, marts, probes, reports
from pipelines.home import Home
from pipelines.resources import HomeResource

defs = dg.Definitions.merge(
    probes.defs,
    alerts.defs,
    housekeeping.defs,
    marts.build_defs(Home.locate()),
    reports.defs,
    dg.Definitions(executor=dg.in_process_executor, resources={"home": HomeResource()}),
)
