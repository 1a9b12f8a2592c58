"""Prepare: from due endpoints to the jobs of one sweep, every question compiled before the first stream opens."""

from collections.abc import Mapping, MutableMapping, Sequence

from pipelines.fleet.models import Endpoint
from pipelines.wire.attempt import Ask, Job, LiveCall
from pipelines.wire.compile import compile_request, live_arguments
from pipelines.wire.credentials import CompileError
from pipelines.wire.prices import PriceMap, price_map, supports_reasoning
from pipelines.wire.prompt import probe_for, token_budget


def prepare(
    endpoints: Sequence[Endpoint],
    env: Mapping[str, str],
    *,
    tick_id: str,
    budgets: Mapping[str, int] | None = None,
    templates: MutableMapping[str, str] | None = None,
    prices: PriceMap | None = None,
    confirm: bool = True,
) -> list[Job]:
    """Return one job per endpoint, with a question of its own for each confirmation that may follow.

    ``budgets`` holds the token budgets that earlier answers taught, by endpoint id; ``templates`` is the store of
    :func:`compile_request`. An endpoint that cannot be asked becomes a job with its error, never a missing one.
    Synchronous and CPU-bound (0.1 ms a question with templates, else LiteLLM's import): call it outside the event loop.
    """
    known = price_map() if prices is None else prices
    store: MutableMapping[str, str] = {} if templates is None else templates
    return [
        _job(
            endpoint,
            env,
            tick_id,
            token_budget(
                endpoint,
                supports_reasoning=supports_reasoning(endpoint, known),
                remembered=(budgets or {}).get(endpoint.endpoint_id),
            ),
            templates=store,
            attempts=endpoint.promises.fail_threshold if confirm else 1,
        )
        for endpoint in endpoints
    ]


def _job(
    endpoint: Endpoint,
    env: Mapping[str, str],
    tick_id: str,
    max_tokens: int,
    *,
    templates: MutableMapping[str, str],
    attempts: int,
) -> Job:
    asks: list[Ask] = []
    for number in range(attempts):
        probe = probe_for(endpoint, f"{tick_id}:{endpoint.endpoint_id}:{number}")
        try:
            asks.append(Ask(probe, compile_request(endpoint, probe, max_tokens, env, templates=templates)))
        except CompileError as error:
            if error.reason != "unsupported":
                return Job(endpoint, max_tokens, error=error)
            arguments, secrets = live_arguments(endpoint, probe, max_tokens, env)
            return Job(endpoint, max_tokens, (Ask(probe, live=LiveCall(arguments, secrets)),))
    return Job(endpoint, max_tokens, tuple(asks))
