"""From a fleet and its discovered models to the endpoints that are probed. Pure."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipelines.fleet.models import Endpoint, Fleet, Promises, Provider, Timeouts
from pipelines.fleet.providers import PROVIDER_TYPES, ProviderType, provider_type

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
"""Every Azure account has a host of its own, under one of these."""

M = TypeVar("M", Promises, Timeouts)


def selected_models(provider: Provider, listed: Iterable[str]) -> tuple[str, ...]:
    """Return the models to watch: those listed that pass the patterns, then those always watched."""
    wanted = provider.models
    found = [
        model
        for model in listed
        if wanted.discover
        and any(fnmatchcase(model, pattern) for pattern in wanted.include)
        and not any(fnmatchcase(model, pattern) for pattern in wanted.exclude)
    ]
    return tuple(dict.fromkeys([*found, *wanted.also]))


def resolve(fleet: Fleet, listed: Mapping[str, Iterable[str]]) -> tuple[Endpoint, ...]:
    """Return every enabled endpoint of the fleet, ordered by id.

    ``listed`` maps a provider's name to the models that its last successful discovery returned.
    """
    endpoints = [
        endpoint
        for name, provider in fleet.providers.items()
        if provider.enabled is not False
        for model in selected_models(provider, listed.get(name, ()))
        if (endpoint := _endpoint(fleet, name, provider, model)) is not None
    ]
    return tuple(sorted(endpoints, key=lambda endpoint: endpoint.endpoint_id))


def _endpoint(fleet: Fleet, name: str, provider: Provider, model: str) -> Endpoint | None:
    endpoint_id = f"{name}/{model}"
    layers = [provider, *(o for pattern, o in fleet.endpoints.items() if fnmatchcase(endpoint_id, pattern))]
    settings: dict[str, Any] = {}
    labels: dict[str, str] = {}
    params: dict[str, Any] = {}
    promises, timeouts = fleet.promises, fleet.timeouts
    for layer in layers:
        given = {key: getattr(layer, key) for key in layer.model_fields_set if getattr(layer, key) is not None}
        labels |= given.pop("labels", {})
        params |= given.pop("params", {})
        promises = merged(promises, given.pop("promises", None))
        timeouts = merged(timeouts, given.pop("timeouts", None))
        settings |= given
    if settings.get("enabled") is False:
        return None
    kind = provider_type(provider.type)
    project_name = settings.get("project", "default")
    project = fleet.projects.get(project_name)
    return Endpoint(
        endpoint_id=endpoint_id,
        provider=name,
        provider_type=provider.type,
        litellm_provider=kind.litellm,
        model=model,
        dialect=provider.dialect or kind.dialect,
        base_url=provider.base_url or kind.base_url,
        api_key_env=key_env(provider),
        region=provider.region,
        gcp_project=provider.gcp_project,
        api_version=provider.api_version,
        headers=provider.headers,
        headers_env=provider.headers_env,
        tls=provider.tls,
        limits=provider.limits,
        project=project_name,
        owner=settings.get("owner") or (project.owner if project else None),
        labels=(project.labels if project else {}) | labels,
        interval=settings.get("interval", fleet.interval),
        prompt=settings.get("prompt"),
        expect=settings.get("expect"),
        max_tokens=settings.get("max_tokens"),
        token_limit=settings.get("token_limit", kind.token_limit),
        params=params,
        timeouts=timeouts,
        allowed_models=settings.get("allowed_models"),
        promises=promises,
        is_free=kind.free,
        is_demo=fleet.demo,
    )


def key_env(provider: Provider) -> str | None:
    """Return the name of the variable whose value may be sent to this provider; None where none may.

    A vendor's usual key goes to the vendor's own host only: with a ``base_url`` of another host, the variable must
    be named for it.
    """
    kind = provider_type(provider.type)
    if provider.api_key_env is not None:
        return provider.api_key_env
    return kind.key_env if provider.base_url is None or _is_own_host(kind, provider.base_url) else None


def _is_own_host(kind: ProviderType, base_url: str) -> bool:
    scheme, host, port = origin(base_url)
    if kind.name == "azure_openai":
        return (scheme, port) == ("https", 443) and host.endswith(_AZURE_HOSTS)
    return kind.base_url is not None and (scheme, host, port) == origin(kind.base_url)


def key_owner(variable: str) -> str | None:
    """Return the provider type whose key is usually in this variable; None for any other variable."""
    return next((row.name for row in PROVIDER_TYPES.values() if row.key_env == variable), None)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what a key is bound to."""
    parts = urlsplit(url)
    return (
        parts.scheme.lower(),
        (parts.hostname or "").lower(),
        parts.port or (443 if parts.scheme == "https" else 80),
    )


def merged(base: M, over: M | None) -> M:
    """Return ``base`` with the fields that ``over`` sets itself."""
    if over is None:
        return base
    return base.model_copy(update={key: getattr(over, key) for key in over.model_fields_set})
