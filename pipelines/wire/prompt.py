"""What a probe asks: an arithmetic canary that can be checked, a nonce that no cache has seen, a token budget."""

import random
import re
from dataclasses import dataclass
from typing import Final

from pipelines.fleet.models import Endpoint
from pipelines.wire.outcomes import Outcome

PLAIN_BUDGET: Final = 32
REASONING_BUDGET: Final = 2048
LARGEST_BUDGET: Final = 16_384

_REASONING_NAME = re.compile(
    r"""(?:^|[/._:-])(?:
        o[1-9](?:$|[-._:]) | gpt-(?:[5-9]|oss) | deepseek-(?:r\d|reasoner) | r1(?:$|[-._:]) | qwq | qwen-?3 |
        magistral | grok-(?:3-mini|[4-9]|code) | gemini-(?:2\.5|[3-9]) | glm-(?:4\.[5-9]|[5-9]) | minimax-m | kimi-k2 |
        sonar-(?:reasoning|deep) | nemotron | phi-4-(?:mini-)?reasoning
    )|think|reason""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Probe:
    """One question and the text that a right answer contains; None where any answer will do."""

    prompt: str
    expect: str | None


def canary(seed: str) -> Probe:
    """Return the standard probe of a seed: the product of two two-digit numbers.

    The nonce goes first, so that a prefix cache misses from the first token on. No factor is a multiple of ten and
    the product never appears in the question, so an echo is not a right answer.
    """
    dice = random.Random(f"arguslab canary {seed}")  # noqa: S311  reproducible on purpose; nothing rests on its secrecy
    factors = [number for number in range(12, 99) if number % 10]
    left, right = dice.choice(factors), dice.choice(factors)
    nonce = f"{dice.getrandbits(40):010x}"
    while str(left * right) in nonce:
        nonce = f"{dice.getrandbits(40):010x}"
    return Probe(f"[{nonce}] What is {left} * {right}? Reply with the number only.", str(left * right))


def probe_for(endpoint: Endpoint, seed: str) -> Probe:
    """Return what to ask an endpoint: its own prompt where it has one, else the canary of the seed.

    ``{nonce}`` in an endpoint's own prompt becomes a fresh value for every seed.
    """
    standard = canary(seed)
    if endpoint.prompt is None:
        return standard
    return Probe(endpoint.prompt.replace("{nonce}", standard.prompt[1:11]), endpoint.expect)


def is_reasoning_name(model: str) -> bool:
    """Return whether a model's name alone says that it thinks before it answers."""
    return _REASONING_NAME.search(model) is not None


def token_budget(endpoint: Endpoint, *, supports_reasoning: bool | None = None, remembered: int | None = None) -> int:
    """Return how many output tokens to allow.

    The endpoint's own setting wins; then what an earlier ``reasoning_only`` taught (``remembered``); then a default by
    kind of model. ``supports_reasoning`` is LiteLLM's word on the model, None where it does not know it.
    """
    if endpoint.max_tokens is not None:
        return endpoint.max_tokens
    thinks = supports_reasoning or is_reasoning_name(endpoint.model)
    return max(remembered or 0, REASONING_BUDGET if thinks else PLAIN_BUDGET)


def next_budget(previous: int, outcome: Outcome, *, largest: int = LARGEST_BUDGET) -> int:
    """Return the budget of the next probe: doubled after an answer that was all reasoning, else unchanged."""
    if outcome != "reasoning_only":
        return previous
    return max(previous, min(largest, previous * 2))  # a budget that was set above the cap stays
