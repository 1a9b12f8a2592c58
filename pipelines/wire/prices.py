"""What an attempt cost, from the price map that the installed LiteLLM carries; LiteLLM itself is never imported.

Reading the file takes some 25 ms, once per process; an unknown price is None, never zero.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pipelines.fleet.models import Endpoint
from pipelines.fleet.providers import provider_type
from pipelines.wire.reading import Reading
from pipelines.wire.tape import EndReason, Tape

PriceMap = Mapping[str, Mapping[str, Any]]

_FILE: Final = "model_prices_and_context_window_backup.json"
_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8})$")
_BEDROCK_PREFIX = re.compile(r"^(?:converse/|invoke/)?(?:(?:us|eu|apac|au|jp|global|us-gov)\.)?")
_UNSENT: Final[frozenset[EndReason]] = frozenset({"dns_error", "connect_error", "tls_error", "timeout_connect"})


@dataclass(frozen=True)
class Price:
    """US dollars per token, and the entry of the map that says so."""

    input: Decimal
    output: Decimal
    cached: Decimal
    reasoning: Decimal
    source: str


@lru_cache(maxsize=1)
def price_map() -> PriceMap:
    """Return LiteLLM's own map, numbers as Decimal. Raises RuntimeError when LiteLLM is not installed as expected."""
    spec = find_spec("litellm")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / _FILE
        if path.is_file():
            prices: PriceMap = json.loads(path.read_bytes(), parse_float=Decimal)
            return prices
    raise RuntimeError(f"litellm's price map {_FILE} is missing; reinstall the packages of requirements.lock")


def entry_for(endpoint: Endpoint, prices: PriceMap) -> tuple[str, Mapping[str, Any]] | None:
    """Return the map's key and entry for an endpoint, or None.

    ``provider/model`` goes before the bare name, a bare name counts only under the same provider, and a model with
    a date falls back to the one without.
    """
    for name in _names(endpoint):
        entry = prices.get(name)
        if entry is not None and _is_same_provider(endpoint.litellm_provider, str(entry.get("litellm_provider", ""))):
            return name, entry
    return None


def _names(endpoint: Endpoint) -> Iterator[str]:
    provider, model = endpoint.litellm_provider, endpoint.model
    models = [model, _DATE.sub("", model)]
    if provider == "bedrock":
        bare = _BEDROCK_PREFIX.sub("", model)
        models += [bare, bare.split(":", 1)[0]]
    if provider == "gemini":
        models += [name.removeprefix("models/") for name in models]
    for name in dict.fromkeys(models):
        if endpoint.region is not None:
            yield f"{provider}/{endpoint.region}/{name}"
        yield f"{provider}/{name}"
        if provider == "ollama_chat":
            yield f"ollama/{name}"
        yield name


def _is_same_provider(wanted: str, found: str) -> bool:
    return found == wanted or found.startswith((f"{wanted}-", f"{wanted}_"))


def supports_reasoning(endpoint: Endpoint, prices: PriceMap | None = None) -> bool | None:
    """Return whether the map says that the model reasons; None where it does not know the model."""
    found = entry_for(endpoint, price_map() if prices is None else prices)
    return None if found is None else bool(found[1].get("supports_reasoning", False))


def price_of(endpoint: Endpoint, prices: PriceMap | None = None) -> Price | None:
    """Return the price of an endpoint's tokens: zero for local servers, None where it is unknown.

    A model behind somebody else's base URL has whatever price that host asks, which the map does not know.
    """
    if endpoint.is_free:
        zero = Decimal(0)
        return Price(zero, zero, zero, zero, "local")
    if not _is_list_price(endpoint):
        return None
    found = entry_for(endpoint, price_map() if prices is None else prices)
    if found is None:
        return None
    name, entry = found
    given, made = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if given is None or made is None:
        return None
    output = Decimal(str(made))
    return Price(
        input=Decimal(str(given)),
        output=output,
        cached=Decimal(str(entry.get("cache_read_input_token_cost", given))),
        reasoning=Decimal(str(entry.get("output_cost_per_reasoning_token", output))),
        source=f"litellm:{name}",
    )


def _is_list_price(endpoint: Endpoint) -> bool:
    if endpoint.provider_type == "custom_openai_compatible":
        return False
    usual = provider_type(endpoint.provider_type).base_url
    if usual is None or endpoint.base_url is None:
        return True
    return _site(usual) == _site(endpoint.base_url)


def _site(url: str) -> str:
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def cost_of(
    endpoint: Endpoint, tape: Tape | None, reading: Reading, prices: PriceMap | None = None
) -> tuple[Decimal | None, str | None]:
    """Return what an attempt cost in US dollars and the source of the price; None where either is unknown.

    A request that was never sent, or was refused with a status of 400 or more, is not billed: zero, ``not_billed``.
    """
    price = price_of(endpoint, prices)
    if price is not None and price.source == "local":
        return Decimal(0), "local"
    if tape is not None and (tape.end_reason in _UNSENT or (tape.status_code or 0) >= 400):
        return Decimal(0), "not_billed"
    usage = reading.usage
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None, None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    reasoning = min(usage.reasoning_tokens or 0, usage.output_tokens)
    cost = (
        (usage.input_tokens - cached) * price.input
        + cached * price.cached
        + (usage.output_tokens - reasoning) * price.output
        + reasoning * price.reasoning
    )
    return cost, price.source
