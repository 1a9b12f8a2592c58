"""What endpoints, providers, projects and the monitor itself are held to, judged from landed rows. Pure."""

from pipelines.notify.promises.catalog import EVALUATED, FLEET, PROMISES, Promise, PromiseName
from pipelines.notify.promises.evaluate import evaluate
from pipelines.notify.promises.inputs import FleetFile, Inputs, Watermark, watermarks_of
from pipelines.notify.promises.news import newsworthy
from pipelines.notify.promises.verdict import Verdict, rows_of, verdicts_of

__all__ = [
    "EVALUATED",
    "FLEET",
    "PROMISES",
    "FleetFile",
    "Inputs",
    "Promise",
    "PromiseName",
    "Verdict",
    "Watermark",
    "evaluate",
    "newsworthy",
    "rows_of",
    "verdicts_of",
    "watermarks_of",
]
