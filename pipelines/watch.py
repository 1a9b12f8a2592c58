"""The code location that must never be silent: discovery, probes, promises, alerts, housekeeping; light imports."""

import dagster as dg

from pipelines import alerts, housekeeping, probes
from pipelines.resources import HomeResource

defs = dg.Definitions.merge(
    probes.defs,
    alerts.defs,
    housekeeping.defs,
    dg.Definitions(executor=dg.in_process_executor, resources={"home": HomeResource()}),
)
