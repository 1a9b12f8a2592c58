"""One function per shape of model list. Each takes a session bound to the provider's host, and returns every entry."""

from collections.abc import Awaitable, Callable

from pipelines.discovery.access import Session
from pipelines.discovery.model import DiscoveryError, Entry
from pipelines.discovery.paging import Page, entry, every_page, items, text
from pipelines.fleet.models import Provider

Lister = Callable[[Session, Provider], Awaitable[list[Entry]]]


async def list_openai(session: Session, provider: Provider) -> list[Entry]:
    """``GET {base}/models``: ``{"data": [...]}``, or Together's bare array; ``has_more`` where a server pages.

    Source: https://platform.openai.com/docs/api-reference/models/list
    """

    async def fetch(cursor: str | None) -> Page:
        answer = await session.get("models", {"after": cursor} if cursor else None)
        if isinstance(answer, list):
            return [entry(item, "id") for item in answer], None
        page = items(answer, "data", "id")
        more = answer.get("has_more") is True
        return page, (text(answer, "last_id") or (page[-1].id if page else None)) if more else None

    _ = provider
    return await every_page(fetch)


async def list_anthropic(session: Session, provider: Provider) -> list[Entry]:
    """``GET {base}/v1/models?limit=1000``, paged by ``after_id``.

    Source: https://platform.claude.com/docs/en/api/models-list
    """
    path = "models" if (provider.base_url or "").rstrip("/").endswith("/v1") else "v1/models"

    async def fetch(cursor: str | None) -> Page:
        answer = await session.get(path, {"limit": "1000", **({"after_id": cursor} if cursor else {})})
        page = items(answer, "data", "id")
        return page, text(answer, "last_id") if answer.get("has_more") is True else None

    return await every_page(fetch)


async def list_gemini(session: Session, provider: Provider) -> list[Entry]:
    """``GET {base}/v1beta/models?pageSize=1000``, paged by ``pageToken``; ids lose their ``models/``.

    Source: https://ai.google.dev/api/models
    """
    path = "models" if "/v1" in (provider.base_url or "") else "v1beta/models"

    async def fetch(cursor: str | None) -> Page:
        answer = await session.get(path, {"pageSize": "1000", **({"pageToken": cursor} if cursor else {})})
        # An account without models answers {}.
        page = items(answer, "models", "name") if answer != {} else []
        return [Entry(one.id.removeprefix("models/"), one.facts) for one in page], text(answer, "nextPageToken")

    return await every_page(fetch)


async def list_ollama(session: Session, provider: Provider) -> list[Entry]:
    """``GET {base}/api/tags``: the models on this machine.

    Source: https://github.com/ollama/ollama/blob/main/docs/api.md
    """
    _ = provider
    return items(await session.get("api/tags"), "models", "name")


async def list_azure(session: Session, provider: Provider) -> list[Entry]:
    """Ask for the base models, to judge the key; what can be called is a deployment, which this API does not list.

    Source: https://learn.microsoft.com/rest/api/azureopenai/models/list
    """
    await session.get("openai/models", {"api-version": provider.api_version or "2024-10-21"})
    message = "Azure lists base models, not your deployments; name the deployments under `models: [...]`"
    raise DiscoveryError("not_supported", message)


async def list_bedrock(session: Session, provider: Provider) -> list[Entry]:
    """``ListFoundationModels`` (text output), then ``ListInferenceProfiles``, paged by ``nextToken``.

    A model that cannot be called on demand by its own id is called through a profile (``us.…``, ``global.…``).
    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html
    """
    _ = provider
    models = items(await session.get("foundation-models", {"byOutputModality": "TEXT"}), "modelSummaries", "modelId")
    facts = {model.id: model.facts for model in models}

    async def fetch(cursor: str | None) -> Page:
        query = {"maxResults": "1000", "type": "SYSTEM_DEFINED", **({"nextToken": cursor} if cursor else {})}
        answer = await session.get("inference-profiles", query)
        return items(answer, "inferenceProfileSummaries", "inferenceProfileId"), text(answer, "nextToken")

    profiles = []
    for profile in await every_page(fetch):
        # A profile is judged by the model behind it: `us.anthropic.claude-x` by `anthropic.claude-x`.
        behind = facts.get(profile.id.partition(".")[2], {})
        outputs = behind.get("outputModalities", [])
        profiles.append(Entry(profile.id, {"outputModalities": outputs}))
    return [*models, *profiles]


async def list_vertex(session: Session, provider: Provider) -> list[Entry]:
    """``GET publishers/google/models`` with an OAuth token, paged by ``pageToken``.

    Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list
    """
    _ = provider

    async def fetch(cursor: str | None) -> Page:
        query = {"pageSize": "100", **({"pageToken": cursor} if cursor else {})}
        answer = await session.get("v1beta1/publishers/google/models", query)
        page = items(answer, "publisherModels", "name") if answer != {} else []
        page = [Entry(one.id.rpartition("/")[2], one.facts) for one in page]
        return [one for one in page if one.id.startswith("gemini")], text(answer, "nextPageToken")

    return await every_page(fetch)
