"""Read a provider's error object in any of the shapes in use.

``{"error": {"code", "type", "message", "status", "details"}}`` (OpenAI and its many followers, Gemini, Azure),
``{"type": "error", "error": {…}}`` (Anthropic), ``{"error": "text"}`` (Ollama, xAI), ``{"message": …}`` (Bedrock),
``{"object": "error", …}`` (vLLM, Mistral), ``{"detail": …}`` (FastAPI), ``[{"error": …}]`` (Gemini's array).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipelines.wire.dialects.fragment import WireError, mapping

_DETAIL_CHARS = 4000
_DELAY = re.compile(r"^(\d{1,9}(?:\.\d{1,9})?)s$")
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]{1,500}>", re.IGNORECASE | re.DOTALL)


def find_error(value: Any) -> WireError | None:
    """Return the error that a decoded JSON value states, or None when it states none."""
    if isinstance(value, list):
        return next((found for item in value[:3] if (found := find_error(item))), None)
    if not isinstance(value, dict):
        return None
    inner = value.get("error")
    if isinstance(inner, dict) and inner:
        return _from_object(inner)
    if isinstance(inner, str) and inner:
        return WireError(code=_word(value.get("code")), type=_word(value.get("type")), message=inner)
    if value.get("object") == "error" or value.get("type") == "error":
        return _from_object(value)
    return None


def read_error(body: bytes, error_type: str | None = None) -> WireError | None:
    """Return what the body of a refused request says; None when it says nothing.

    ``error_type`` is the ``x-amzn-errortype`` header. A body that is not JSON gives its visible text.
    """
    label = error_type.split(":")[0].rsplit("#")[-1] if error_type else None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        words = " ".join(_TAG.sub(" ", body[:20_000].decode("utf-8", "replace")).split())
        return WireError(type=label, message=words[:500] or None) if words or label else None
    found = find_error(value)
    if found is None and isinstance(value, dict):
        found = _from_object(value)
    if found is None:
        found = WireError(message=str(value)[:500]) if value else WireError()
    if label and not found.type:
        found = WireError(found.code, label, found.message, found.retry_s, found.detail)
    return found if found != WireError() else None


def _from_object(error: Mapping[str, Any]) -> WireError:
    message = error.get("message") or error.get("Message") or error.get("detail") or error.get("error_description")
    details = error.get("details")
    kind = _word(error.get("type")) or _word(error.get("status")) or _word(error.get("__type"))
    rest = {key: error[key] for key in ("details", "metadata", "innererror", "param") if error.get(key)}
    return WireError(
        code=_word(error.get("code")),
        type=kind.rsplit("#")[-1] if kind and kind != "error" else None,
        message=message if isinstance(message, str) else json.dumps(message)[:500] if message else None,
        retry_s=_retry_delay(details),
        detail=json.dumps(rest)[:_DETAIL_CHARS] if rest else "",
    )


def _retry_delay(details: Any) -> float | None:
    """Return the seconds of Google's ``RetryInfo``."""
    for item in details if isinstance(details, list) else ():
        delay = mapping(item).get("retryDelay")
        if isinstance(delay, str) and (match := _DELAY.match(delay)):
            return float(match[1])
    return None


def _word(value: Any) -> str | None:
    if isinstance(value, bool) or value is None or value == "":
        return None
    return str(value)[:200] if isinstance(value, str | int) else None
