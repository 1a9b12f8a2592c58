"""Which charts stand on which page, and every query that the site needs."""

from dashboards import attempts, cost, errors, incidents, latency, monitor, slo, uptime
from dashboards.chart import Chart, Page, Query
from dashboards.status import QUERIES

PAGES = (
    Page("uptime", "Uptime", "Is it up?", "Counted attempts only, each share with n and its interval.", uptime.CHARTS),
    Page(
        "latency",
        "Latency",
        "Is it fast?",
        "Time to first token and decode speed, timed on the wire, never through an SDK.",
        latency.CHARTS,
    ),
    Page(
        "errors",
        "Errors",
        "What goes wrong, and whose fault is it?",
        "One class per attempt, decided from the wire, each with a blame.",
        errors.CHARTS,
    ),
    Page(
        "incidents",
        "Incidents",
        "What broke, for how long, and was anybody told?",
        "From the first bad attempt until the promise was kept again.",
        incidents.CHARTS,
    ),
    Page(
        "slo",
        "SLOs",
        "Are the promises kept?",
        "Error budgets, how fast they burn, and each promise as last judged.",
        slo.CHARTS,
    ),
    Page("cost", "Cost", "What does watching cost?", "The probes' own tokens, at list price.", cost.CHARTS),
    Page(
        "monitor",
        "Monitor",
        "Is the monitor itself to be trusted?",
        "Its sweeps, its own measurement error, the times it was blind, its disk.",
        monitor.CHARTS,
    ),
)

ENDPOINT_CHARTS: tuple[Chart, ...] = (
    attempts.UPTIME,
    *latency.ENDPOINT_CHARTS,
    *attempts.CHARTS[:1],
    *errors.ENDPOINT_CHARTS,
    *incidents.ENDPOINT_CHARTS,
    *attempts.CHARTS[1:],
)


def fleet_queries() -> tuple[Query, ...]:
    """Return every query that runs once per site; parameters: ``as_of``."""
    return (*QUERIES, *(chart for page in PAGES for chart in page.charts))


def endpoint_queries() -> tuple[Query, ...]:
    """Return every query that runs once per endpoint; parameters: ``as_of``, ``endpoint_id``."""
    return ENDPOINT_CHARTS
