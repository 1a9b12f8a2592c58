"""The closed list of promises: what each asks, what to do when it is broken, and how its incident behaves."""

from dataclasses import dataclass
from typing import Literal, get_args

from pipelines.fleet.models import Severity
from pipelines.notify.model import State

PromiseName = Literal[
    "endpoint_available",
    "ttft_p95_within_slo",
    "ttfo_p95_within_slo",
    "tps_p50_within_slo",
    "ttft_near_baseline",
    "tps_near_baseline",
    "error_budget_burn",
    "key_accepted",
    "quota_left",
    "model_exists",
    "request_accepted",
    "answers_right",
    "model_as_asked",
    "provider_up",
    "probe_budget_kept",
    "monitor_not_blind",
    "measurement_trustworthy",
    "discovery_working",
    "fleet_file_valid",
    "channel_delivers",
    "check_passes",
]
Scope = Literal["endpoint", "provider", "project", "fleet", "channel", "check"]


@dataclass(frozen=True)
class Promise:
    """One row of the list."""

    name: PromiseName
    question: str
    remedy: str
    """What to do when it is broken."""
    severity: Severity
    """Used where the evaluation gives no other."""
    unit: str
    scope: Scope
    opens_as: State
    recover_after: int = 1
    """Kept evaluations in a row that resolve it; availability counts attempts instead."""


_ROWS = (
    Promise(
        "endpoint_available",
        "Does the endpoint answer?",
        "Open the endpoint's page, read the error mix and the provider's status page; fail over if it is theirs.",
        "critical",
        "attempts",
        "endpoint",
        "DOWN",
    ),
    Promise(
        "ttft_p95_within_slo",
        "Is the 95th percentile of the time to first token within its objective?",
        "Compare with the provider's other models and with yesterday; lower the load or move traffic.",
        "major",
        "ms",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "ttfo_p95_within_slo",
        "Is the 95th percentile of the time to first visible output within its objective?",
        "Look at reasoning tokens and time to first token: a model that thinks longer needs less effort set.",
        "major",
        "ms",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "tps_p50_within_slo",
        "Is the median decode speed at least its objective?",
        "Compare with the provider's other models; move traffic that needs speed.",
        "major",
        "tokens/s",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "ttft_near_baseline",
        "Is the time to first token near what it was at this hour in the last week?",
        "Look for a change at the provider (model version, region) or in your network since the slowdown began.",
        "minor",
        "ms",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "tps_near_baseline",
        "Is the decode speed near what it was at this hour in the last week?",
        "Look for a change at the provider (model version, region) since the slowdown began.",
        "minor",
        "tokens/s",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "error_budget_burn",
        "Is the error budget spent slowly enough to last its window?",
        "Read the error mix; if the objective cannot be met, move traffic or agree on another objective.",
        "major",
        "x budget",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "key_accepted",
        "Does the provider accept our key?",
        "Renew or correct the key in the environment variable that fleet.yaml names, then restart.",
        "critical",
        "attempts",
        "endpoint",
        "DOWN",
    ),
    Promise(
        "quota_left",
        "Is there quota and credit left at the provider?",
        "Raise the limit or pay the bill at the provider; real traffic fails in the same way.",
        "critical",
        "attempts",
        "endpoint",
        "DOWN",
    ),
    Promise(
        "model_exists",
        "Does the provider still serve this model?",
        "Move users of this model to its successor, then take it out of fleet.yaml.",
        "major",
        "attempts",
        "endpoint",
        "DOWN",
    ),
    Promise(
        "request_accepted",
        "Does the provider accept the request that we send?",
        "Read the message: set token_limit, params or api_version of this endpoint in fleet.yaml.",
        "major",
        "attempts",
        "endpoint",
        "DOWN",
    ),
    Promise(
        "answers_right",
        "Does the model still answer the canary correctly?",
        "Read the answers on the endpoint's page; a silent model change or quantisation shows here first.",
        "major",
        "share",
        "endpoint",
        "DEGRADED",
        2,
    ),
    Promise(
        "model_as_asked",
        "Does the model that we asked for answer?",
        "Ask the provider about re-routing, or add the new name to allowed_models.",
        "major",
        "attempts",
        "endpoint",
        "DEGRADED",
    ),
    Promise(
        "provider_up",
        "Does any endpoint of the provider answer?",
        "Read the provider's status page; check this machine's network if several providers are affected.",
        "critical",
        "endpoints",
        "provider",
        "DOWN",
        2,
    ),
    Promise(
        "probe_budget_kept",
        "Did probing cost less today than its budget?",
        "Probing of this project stopped. Raise probe_budget, lengthen interval or watch fewer models.",
        "major",
        "usd",
        "project",
        "DEGRADED",
    ),
    Promise(
        "monitor_not_blind",
        "Are probes still being made?",
        "Nothing is known of these endpoints now. See that the Dagster daemon runs and its probe schedule is on.",
        "critical",
        "s",
        "fleet",
        "STALE",
    ),
    Promise(
        "measurement_trustworthy",
        "Do we measure the endpoints, and not ourselves?",
        "This machine is too busy: give it CPU, lengthen interval or lower limits.concurrency.",
        "major",
        "share",
        "fleet",
        "DEGRADED",
        2,
    ),
    Promise(
        "discovery_working",
        "Does the provider tell us its models?",
        "Read the message; new and vanished models of this provider go unnoticed until it works.",
        "minor",
        "refreshes",
        "provider",
        "DEGRADED",
    ),
    Promise(
        "fleet_file_valid",
        "Can fleet.yaml be read?",
        "Run `arguslab check`; the last good file stays in use until then.",
        "major",
        "files",
        "fleet",
        "DEGRADED",
    ),
    Promise(
        "channel_delivers",
        "Does the channel take our messages?",
        "Run `arguslab alerts test` with this channel; renew its URL or secret.",
        "major",
        "tries",
        "channel",
        "DOWN",
    ),
    Promise(
        "check_passes",
        "Does this asset check pass?",
        "Open the check in the Dagster UI and read its metadata and the run's log.",
        "major",
        "checks",
        "check",
        "DEGRADED",
    ),
)

PROMISES: dict[str, Promise] = {row.name: row for row in _ROWS}
"""Every promise by name, in the order in which they are judged and shown."""

EVALUATED: tuple[PromiseName, ...] = tuple(
    name for name in get_args(PromiseName) if name not in ("channel_delivers", "check_passes")
)
"""The promises that :func:`pipelines.notify.promises.evaluate` judges; the other two come from elsewhere."""

FLEET = "fleet"
"""Subject of what concerns the whole fleet."""
