"""The simulated providers' own model lists, each in its dialect's shape and paging."""

import base64
from collections.abc import Mapping
from typing import Any

from pipelines.demo.dialects import DemoDialect
from pipelines.demo.personas import PERSONAS

_PAGE = 1
"""Small on purpose: whoever reads one page only must be found out."""


def models(dialect: DemoDialect) -> list[str]:
    """Return the models on one provider's list; Gemini has no personas of its own and lists all of them."""
    own = [name for name, persona in PERSONAS.items() if persona.dialect == dialect]
    return own or list(PERSONAS)


def openai_models() -> dict[str, Any]:
    """Return OpenAI's list, which is not paged."""
    rows = [{"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "demo"} for name in models("openai")]
    return {"object": "list", "data": rows}


def anthropic_models(query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of Anthropic's list: ``after_id`` and ``limit`` in, ``has_more`` and ``last_id`` out."""
    names = models("anthropic")
    after = query.get("after_id")
    start = names.index(after) + 1 if after in names else 0
    page = names[start : start + min(_positive(query.get("limit"), _PAGE), _PAGE)]
    created = "2026-01-01T00:00:00Z"
    return {
        "data": [{"type": "model", "id": name, "display_name": name, "created_at": created} for name in page],
        "has_more": start + len(page) < len(names),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def ollama_tags() -> dict[str, Any]:
    """Return Ollama's list of local models."""
    return {
        "models": [{"name": name, "model": name, "size": 1, "details": {"family": "demo"}} for name in models("ollama")]
    }


def gemini_models(query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of Gemini's list: ``pageToken`` and ``pageSize`` in, ``nextPageToken`` out."""
    names = models("gemini")
    start = _offset(query.get("pageToken"))
    end = start + min(_positive(query.get("pageSize"), _PAGE), _PAGE)
    rows = [{"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]} for name in names[start:end]]
    more = {"nextPageToken": base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(names) else {}
    return {"models": rows, **more}


def _positive(value: str | None, default: int) -> int:
    return int(value) if value and value.isdecimal() and int(value) > 0 else default


def _offset(token: str | None) -> int:
    try:
        return max(0, int(base64.urlsafe_b64decode(token or "")))
    except ValueError:
        return 0
