"""Discovered models as rows: what each provider answered, and the catalog of endpoints that follows. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipelines.discovery.model import Discovered
from pipelines.fleet.models import Endpoint, Fleet, Project
from pipelines.fleet.resolve import resolve

Row = dict[str, Any]
Prices = Callable[[Endpoint], tuple[Decimal | None, Decimal | None]]
"""US dollars per input and per output token; None where unknown."""


def discovery_rows(fleet: Fleet, discovered: Mapping[str, Discovered], now: datetime, refresh_id: str) -> list[Row]:
    """Return one row per provider asked, per ``schemas.DiscoveryResult``."""
    return [
        {
            "discovery_id": f"{refresh_id}:{name}",
            "refresh_id": refresh_id,
            "discovered_at": now,
            "provider": name,
            "provider_type": fleet.providers[name].type,
            "outcome": found.outcome,
            "message": found.message,
            "models_listed": len(found.models),
            "models_kept": len(found.kept),
            "pages": found.pages,
            "models_json": json.dumps([{"id": m.id, "kept": m.kept, "rule": m.rule} for m in found.models]),
        }
        for name, found in discovered.items()
    ]


def catalog_rows(
    fleet: Fleet,
    discovered: Mapping[str, Discovered],
    previous_catalog: Iterable[Mapping[str, Any]],
    now: datetime,
    prices: Prices,
    *,
    refresh_id: str,
) -> list[Row]:
    """Return one row per endpoint, per ``schemas.CatalogEntry``.

    A model is retired when it was in the catalog and its provider's list, successfully read, has it no longer. While
    a list cannot be read, what was known of its provider stands. New models are watched unless fleet.yaml drops them.

    Args:
        fleet: The fleet.
        discovered: The providers' answers, by name.
        previous_catalog: The rows of the refresh before.
        now: The moment of this refresh.
        prices: See :data:`Prices`.
        refresh_id: Names this refresh.
    """
    before = {row["endpoint_id"]: row for row in previous_catalog}
    listed: dict[str, set[str]] = {}
    vanished: dict[str, set[str]] = {}
    for name, provider in fleet.providers.items():
        known = {row["model"]: row for row in before.values() if row["provider"] == name}
        found = discovered.get(name)
        if found is not None and found.outcome == "ok":
            listed[name] = set(found.kept)
            gone = {model for model, row in known.items() if row["is_listed"] or row["is_retired"]}
            # Still listed but no longer kept is our rule's doing, not the provider's.
            vanished[name] = gone - {model.id for model in found.models}
        elif provider.models.discover:
            listed[name] = {model for model, row in known.items() if row["is_listed"]}
            vanished[name] = {model for model, row in known.items() if row["is_retired"]}
    candidates = {name: sorted(models | vanished.get(name, set())) for name, models in listed.items()}
    return [
        _row(
            fleet,
            endpoint,
            _standing(fleet, endpoint, discovered, before, vanished),
            now,
            prices,
            refresh_id=refresh_id,
        )
        for endpoint in resolve(fleet, candidates)
    ]


def _standing(
    fleet: Fleet,
    endpoint: Endpoint,
    discovered: Mapping[str, Discovered],
    before: Mapping[str, Mapping[str, Any]],
    vanished: Mapping[str, set[str]],
) -> tuple[bool | None, bool]:
    """Return whether the provider lists the endpoint (None: there is no list) and whether it is retired."""
    found = discovered.get(endpoint.provider)
    if found is not None and found.outcome == "ok":
        is_listed: bool | None = endpoint.model in {model.id for model in found.models}
    else:
        is_listed = before.get(endpoint.endpoint_id, {}).get("is_listed")
    always = endpoint.model in fleet.providers[endpoint.provider].models.also
    return is_listed, not always and endpoint.model in vanished.get(endpoint.provider, set())


def _row(
    fleet: Fleet,
    endpoint: Endpoint,
    standing: tuple[bool | None, bool],
    now: datetime,
    prices: Prices,
    *,
    refresh_id: str,
) -> Row:
    promises = endpoint.promises
    project = fleet.projects.get(endpoint.project)
    budget = (project or Project()).probe_budget
    input_price, output_price = (Decimal(0), Decimal(0)) if endpoint.is_free else prices(endpoint)
    return {
        "entry_id": f"{refresh_id}:{endpoint.endpoint_id}",
        "refresh_id": refresh_id,
        "refreshed_at": now,
        "endpoint_id": endpoint.endpoint_id,
        "provider": endpoint.provider,
        "provider_type": endpoint.provider_type,
        "model": endpoint.model,
        "project": endpoint.project,
        "owner": endpoint.owner,
        "labels_json": json.dumps(endpoint.labels, sort_keys=True),
        "location": fleet.location,
        "interval_s": int(endpoint.interval.total_seconds()),
        "availability_slo": promises.availability,
        "slo_window_s": int(promises.window.total_seconds()),
        "ttft_slo_ms": promises.ttft_p95.total_seconds() * 1000 if promises.ttft_p95 else None,
        "ttfo_slo_ms": promises.ttfo_p95.total_seconds() * 1000 if promises.ttfo_p95 else None,
        "tps_slo": promises.tps_p50,
        "is_listed": standing[0],
        "is_retired": standing[1],
        "is_free": endpoint.is_free,
        "is_demo": endpoint.is_demo,
        "input_price_per_token_usd": input_price,
        "output_price_per_token_usd": output_price,
        "probe_budget_usd_per_day": budget.usd_per_day.quantize(Decimal("1e-12")),
    }
