"""Asking providers for their models: one, or the whole fleet at once. A failure is a typed answer, no exception."""

import asyncio
from collections.abc import Mapping

import httpx

from pipelines.discovery import aws
from pipelines.discovery.access import Session, Signer, base_of, headers_of, key_of, open_client
from pipelines.discovery.keep import judge
from pipelines.discovery.model import Discovered, DiscoveryError
from pipelines.discovery.shapes import (
    Lister,
    list_anthropic,
    list_azure,
    list_bedrock,
    list_gemini,
    list_ollama,
    list_openai,
    list_vertex,
)
from pipelines.fleet.models import Fleet, Provider
from pipelines.fleet.providers import Discovery, provider_type

REQUEST_S = 15.0
PROVIDER_S = 60.0
AT_ONCE = 8

_LISTERS: dict[Discovery, Lister] = {
    "openai": list_openai,
    "azure": list_azure,
    "anthropic": list_anthropic,
    "gemini": list_gemini,
    "ollama": list_ollama,
    "bedrock": list_bedrock,
    "vertex": list_vertex,
}
_PLAIN_HEADERS: dict[Discovery, dict[str, str]] = {"anthropic": {"anthropic-version": "2023-06-01"}}
_OPEN_LISTS = frozenset({"openrouter"})
"""Types whose list is public: asked without a key when none is set."""


async def discover(
    name: str,
    provider: Provider,
    env: Mapping[str, str],
    *,
    client: httpx.AsyncClient | None = None,
    request_s: float = REQUEST_S,
    provider_s: float = PROVIDER_S,
) -> Discovered:
    """Return a provider's models, or why they cannot be had.

    Args:
        name: The provider's name in fleet.yaml, for messages.
        provider: Its settings.
        env: The environment that holds its key.
        client: A client of the caller's; without it one is opened with the provider's TLS settings.
        request_s: Seconds that one page may take.
        provider_s: Seconds that all pages may take.
    """
    kind = provider_type(provider.type)
    lister = _LISTERS.get(kind.discovery)
    if lister is None:
        message = f"{provider.type} publishes no list that is read here; name the models: providers.{name}.models"
        return Discovered("not_supported", message=message)
    session: Session | None = None
    own: httpx.AsyncClient | None = None
    try:
        async with asyncio.timeout(provider_s):
            base, credentials, signer = await asyncio.to_thread(_credentials, name, provider, env)
            headers = _PLAIN_HEADERS.get(kind.discovery, {}) | headers_of(provider, env)
            # A header that fleet.yaml sets itself replaces ours of the same name.
            own_names = {header.lower() for header in headers}
            credentials = {header: value for header, value in credentials.items() if header not in own_names}
            own = open_client(provider.tls, base, request_s) if client is None else None
            session = Session(client or own, base, credentials, headers, signer)  # type: ignore[arg-type]  # one is set
            entries = await lister(session, provider)
    except DiscoveryError as error:
        return Discovered(error.outcome, pages=session.pages if session else 0, message=error.message)
    except TimeoutError:
        message = f"the list did not end within {provider_s:g} s; the next discovery tries again"
        return Discovered("unreachable", pages=session.pages if session else 0, message=message)
    finally:
        if own is not None:
            await own.aclose()
    models = tuple(judge(entry, provider.type) for entry in {entry.id: entry for entry in entries}.values())
    return Discovered("ok", models, session.pages, None if models else "the list is empty")


async def discover_all(
    fleet: Fleet,
    env: Mapping[str, str],
    *,
    only: frozenset[str] | None = None,
    at_once: int = AT_ONCE,
    request_s: float = REQUEST_S,
    provider_s: float = PROVIDER_S,
) -> dict[str, Discovered]:
    """Return the answers of every enabled provider that is to be discovered, by name, in the fleet's order."""
    slots = asyncio.Semaphore(at_once)
    wanted = {
        name: provider
        for name, provider in fleet.providers.items()
        if (name in only if only is not None else provider.enabled is not False and provider.models.discover)
    }

    async def one(name: str, provider: Provider) -> Discovered:
        async with slots:
            return await discover(name, provider, env, request_s=request_s, provider_s=provider_s)

    found = await asyncio.gather(*(one(name, provider) for name, provider in wanted.items()))
    return dict(zip(wanted, found, strict=True))


def _credentials(name: str, provider: Provider, env: Mapping[str, str]) -> tuple[str, dict[str, str], Signer | None]:
    """Return base URL, authenticating headers and, for AWS, a signer. Blocking: AWS's chain may read files."""
    kind = provider_type(provider.type)
    if kind.discovery == "bedrock":
        base = aws.control_base(provider, env)
        bearer = aws.bearer_of(provider, env)
        if bearer:
            return base, {"authorization": f"Bearer {bearer}"}, None
        return base, {}, aws.signer_of(provider, env)
    if kind.discovery == "vertex":
        return _vertex(name, provider, env)
    base_url = base_of(provider)
    if base_url is None:
        raise DiscoveryError("not_supported", f"the provider has no address; write providers.{name}.base_url")
    try:
        key = key_of(provider, env)
    except DiscoveryError:
        if provider.type not in _OPEN_LISTS:
            raise
        key = None
    if key is None:
        return base_url, {}, None
    if kind.discovery == "anthropic":
        return base_url, {"x-api-key": key}, None
    if kind.discovery == "gemini":
        return base_url, {"x-goog-api-key": key}, None
    if kind.discovery == "azure":
        return base_url, {"api-key": key}, None
    return base_url, {"authorization": f"Bearer {key}"}, None


def _vertex(name: str, provider: Provider, env: Mapping[str, str]) -> tuple[str, dict[str, str], None]:
    if provider.api_key_env is None:
        message = (
            "Vertex lists its models to an OAuth token only; name one with api_key_env "
            f"(gcloud auth print-access-token), or write the models: providers.{name}.models"
        )
        raise DiscoveryError("not_supported", message)
    token = key_of(provider, env)
    region = provider.region or env.get("VERTEXAI_LOCATION") or "us-central1"
    host = "aiplatform.googleapis.com" if region == "global" else f"{region}-aiplatform.googleapis.com"
    headers = {"authorization": f"Bearer {token}"}
    if provider.gcp_project:
        headers["x-goog-user-project"] = provider.gcp_project
    return provider.base_url or f"https://{host}", headers, None
