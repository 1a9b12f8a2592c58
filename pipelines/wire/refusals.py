"""What a status code and a provider's error words mean. First match wins, in the order of the taxonomy.

The words are those of the providers' error references (OpenAI, Azure, Anthropic, Gemini, Bedrock, Groq, Mistral,
xAI, DeepSeek, OpenRouter, Together, Ollama, vLLM), looked up in November 2026. Status 401 and 403 are
always about the key; 402 is always about money. Elsewhere a code or a phrase decides.
"""

import re
from typing import Any

from pipelines.wire.dialects.fragment import WireError
from pipelines.wire.outcomes import Outcome


def _any_of(*patterns: str) -> Any:
    return re.compile("|".join(patterns), re.IGNORECASE)


_KEY = _any_of(
    r"\binvalid_api_key\b", r"\bAPI_KEY_INVALID\b", r"\bauthentication_error\b",
    r"incorrect api key", r"api key (not valid|expired)", r"invalid api key",
)  # fmt: skip
"""Gemini and xAI answer 400 to a bad key."""

_MONEY = _any_of(
    r"\binsufficient_(quota|credits?|funds|balance)\b", r"\bbilling_(hard_limit_reached|not_active|error)\b",
    r"\b(enforced_)?spend(ing)?_limit_reached\b", r"\bcredit_balance_too_low\b", r"\bexceeded_current_quota_error\b",
    r"credit balance is too low", r"insufficient (credits?|funds|(account )?balance)",
    r"used all (of )?(its |your )?available credits", r"(monthly )?spending limit",
    r"prepa(y|id|yment) (credit|balance|funds?)",
    r"purchase more credits", r"\blimit: 0\b", r'"quotaValue": "0"',
)  # fmt: skip
"""Gemini says "check your plan and billing details" of every limit, also of a per-minute one, so that phrase is no
sign; a limit of 0 is one, for waiting does not help."""

_OVERLOAD = _any_of(
    r"overload", r"\bcapacity\b", r"\b(server|system|service|engine|model)s? (is |are )?(currently |too )?busy\b",
    r"high demand", r"maximum pending requests", r"\bServiceUnavailableException\b", r"\bModelNotReadyException\b",
)  # fmt: skip

_GONE_CODE = _any_of(
    r"^(model_not_found|model_decommissioned|model_deprecated|model_not_available|not_found_error|NotFoundError)$",
    r"^(DeploymentNotFound|ModelNotFound|ResourceNotFoundException|NOT_FOUND|invalid_model|model_not_exist)$",
)  # fmt: skip
_GONE = _any_of(
    r"\bmodels?\b.{0,160}?\b(not found|not exist|doesn't exist|decommissioned)\b",
    r"\bmodels?\b.{0,160}?\bhas been (deprecated|retired|shut ?down|removed)\b",
    r"\bmodels?\b.{0,160}?\b(no longer (available|supported)|identifier is invalid|reached (its )?end of life)\b",
    r"(invalid|unknown|no such) model( name| id| identifier)?\s*(passed|specified|[:'\"`.,]|$)",
    r"invocation of model id .{0,160}? with on-demand throughput",
)  # fmt: skip

_FILTER = _any_of(
    r"\bcontent_filter\b",
    r"\bcontent_policy_violation\b",
    r"\bResponsibleAIPolicyViolation\b",
    r"content management policy",
)
_MODEL_FAULT = _any_of(r"\bModel(Timeout|Error|StreamError)Exception\b")


def is_overload(error: WireError) -> bool:
    """Return whether the provider says that it has too much to do."""
    return bool(_OVERLOAD.search(error.words()))


def is_model_gone(error: WireError) -> bool:
    """Return whether the provider says that it has no such model (any more)."""
    return any(_GONE_CODE.search(word) for word in (error.code, error.type) if word) or bool(
        _GONE.search(error.message or "")
    )


def refused(status: int, error: WireError | None, location: str | None = None) -> tuple[Outcome, str]:
    """Return the class of an answer whose status is not 2xx, and a sentence of evidence."""
    said = error or WireError()
    words = said.words()
    message = f"HTTP {status}: {said}" if error else f"HTTP {status} without an explanation"
    if 300 <= status <= 399:
        where = f" to {location}" if location else ""
        return "bad_request", f"HTTP {status}: base_url redirects{where}; set base_url to the final address"
    return _class(status, said, words), message


def _class(status: int, error: WireError, words: str) -> Outcome:
    is_client = 400 <= status <= 499
    if status in (401, 403) or (status == 400 and _KEY.search(words)):
        return "auth"
    if status == 402 or (status in (400, 429) and _MONEY.search(words)):
        return "quota"
    if status == 429:
        return "rate_limited"
    # 498 is Groq's "flex tier capacity exceeded".
    if status in (529, 498) or (status == 503 and _OVERLOAD.search(words)):
        return "overloaded"
    if status in (404, 410) or (is_client and is_model_gone(error)):
        return "model_not_found"
    if status == 400 and _FILTER.search(words):
        return "content_filter"
    if is_client and _MODEL_FAULT.search(words):
        return "server_error"
    if is_client:
        return "bad_request"
    return "server_error" if status >= 500 else "unknown"
