"""What a simulated model says to a prompt: the right product for a canary, a few fixed words for anything else."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

_PRODUCT = re.compile(r"(\d{1,9})\s*(?:×|x|\*|·|⋅|times|multiplied by)\s*(\d{1,9})", re.IGNORECASE)
_PIECE = re.compile(r"\s*\S+")
_THOUGHTS = (
    "Let me work this out. I take the first factor apart into tens and ones, multiply each of them by the second "
    "factor, and add what I get. Now I check it the other way round. Both ways agree, so I can answer."
)


@dataclass(frozen=True)
class Speech:
    """One answer before it is spelled in a dialect; each word is one token."""

    model: str
    """The model that claims to answer."""
    response_id: str
    words: tuple[str, ...]
    thoughts: tuple[str, ...] = ()
    finish: str = "stop"
    """``stop``, ``length`` or ``content_filter``; every dialect has its own word for it."""
    input_tokens: int = 0
    created: int = 0

    @property
    def output_tokens(self) -> int:
        """Reasoning included."""
        return len(self.words) + len(self.thoughts)


def compose(
    prompt: str,
    *,
    model: str,
    response_id: str,
    max_tokens: int | None = None,
    reasoning_tokens: int = 0,
    is_wrong: bool = False,
    created: int = 0,
) -> Speech:
    """Return the whole answer within the token budget; reasoning is paid for first."""
    words = tokens(_reply(prompt, is_wrong=is_wrong))
    thoughts = (tokens(_THOUGHTS) * (reasoning_tokens // 30 + 1))[:reasoning_tokens]
    speech = Speech(model, response_id, words, thoughts, "stop", len(tokens(prompt)), created)
    if max_tokens is None or speech.output_tokens <= max_tokens:
        return speech
    kept = thoughts[:max_tokens]
    return replace(speech, thoughts=kept, words=words[: max_tokens - len(kept)], finish="length")


def tokens(text: str) -> tuple[str, ...]:
    """Return the words of a text with the white space before them: our tokens."""
    return tuple(_PIECE.findall(text))


def prompt_of(body: dict[str, Any]) -> str:
    """Return the text of the last message in any dialect's request."""
    turns = body.get("messages") or body.get("contents") or []
    last = turns[-1] if isinstance(turns, list) and turns and isinstance(turns[-1], dict) else {}
    content = last.get("content", last.get("parts", body.get("prompt", "")))
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)


def token_budget_of(body: dict[str, Any]) -> int | None:
    """Return the token limit of any dialect's request; None when it sets none."""
    places = (body, body.get("options"), body.get("generationConfig"), body.get("inferenceConfig"))
    names = ("max_completion_tokens", "max_tokens", "num_predict", "maxOutputTokens", "maxTokens")
    for place in places:
        for name in names:
            value = place.get(name) if isinstance(place, dict) else None
            if isinstance(value, int) and value > 0:
                return value
    return None


def load_body(data: bytes) -> dict[str, Any] | None:
    """Return a request's JSON object, or None when it is none."""
    try:
        body = json.loads(data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _reply(prompt: str, *, is_wrong: bool) -> str:
    found = _PRODUCT.search(prompt)
    if not found:
        return "This is a simulated answer of the demo fleet. No model was asked, and nothing left this machine."
    left, right = int(found[1]), int(found[2])
    # Off by far more than a digit's slip, so that no part of a wrong answer happens to hold the right one.
    product = left * right + (1117 if is_wrong else 0)
    return (
        f"{product}. That is the product of the two factors, worked out by taking one of them apart into tens and ones."
    )
