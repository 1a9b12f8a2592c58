import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.fleet import Endpoint, Fleet, resolve
from pipelines.wire.answer import is_right
from pipelines.wire.outcomes import OUTCOMES
from pipelines.wire.prices import cost_of, entry_for, price_map, price_of, supports_reasoning
from pipelines.wire.prompt import (
    LARGEST_BUDGET,
    PLAIN_BUDGET,
    REASONING_BUDGET,
    canary,
    is_reasoning_name,
    next_budget,
    probe_for,
    token_budget,
)
from pipelines.wire.reading import Reading, Usage
from pipelines.wire.redact import MASK, load_tape, redact, redacted_tape, redacted_tape_json
from pipelines.wire.tape import Chunk, Tape, WireRequest


def endpoint(type_: str = "openai", model: str = "gpt-5", **settings: Any) -> Endpoint:
    (found,) = resolve(Fleet.model_validate({"providers": {"p": {"type": type_, "models": [model]} | settings}}), {})
    return found


@given(st.text())
def test_a_canary_is_its_seed_s_own_and_its_answer_is_right_and_not_in_the_question(seed: str) -> None:
    probe = canary(seed)
    assert probe == canary(seed)
    assert probe.expect is not None
    left, right = (int(word.rstrip("?")) for word in probe.prompt.split() if word.rstrip("?").isdigit())
    assert probe.expect == str(left * right)
    assert left % 10
    assert right % 10
    assert not is_right(probe.prompt, probe.expect)


def test_two_seeds_give_two_questions() -> None:
    assert len({canary(str(n)).prompt for n in range(500)}) == 500


def test_an_endpoint_s_own_prompt_replaces_the_canary_and_may_carry_a_nonce() -> None:
    own = endpoint(prompt="Say hi {nonce}", expect="hi")
    first, second = probe_for(own, "a"), probe_for(own, "b")
    assert first.expect == "hi"
    assert first.prompt.startswith("Say hi ")
    assert first.prompt != second.prompt
    assert "{nonce}" not in first.prompt


@pytest.mark.parametrize("model", ["o3-mini", "openai/o1", "gpt-5-nano", "deepseek-r1", "qwen3:4b", "QwQ-32B"])
def test_a_reasoning_model_is_known_by_its_name(model: str) -> None:
    assert is_reasoning_name(model)
    assert token_budget(endpoint(model=model)) == REASONING_BUDGET


@pytest.mark.parametrize("model", ["gpt-4o-mini", "llama-3.3-70b", "claude-haiku-3", "mistral-small", "command-r"])
def test_a_plain_model_gets_the_small_budget_unless_it_is_known_better(model: str) -> None:
    assert token_budget(endpoint(model=model)) == PLAIN_BUDGET
    assert token_budget(endpoint(model=model), supports_reasoning=True) == REASONING_BUDGET
    assert token_budget(endpoint(model=model), remembered=128) == 128
    assert token_budget(endpoint(model=model, max_tokens=7), supports_reasoning=True, remembered=128) == 7


@given(st.integers(1, 32_000), st.sampled_from(sorted(OUTCOMES)))
def test_only_an_answer_that_was_all_reasoning_raises_the_budget_and_never_past_the_cap(now: int, outcome: Any) -> None:
    later = next_budget(now, outcome)
    if outcome != "reasoning_only":
        assert later == now
    else:
        assert now <= later <= max(now, LARGEST_BUDGET)
        assert later == now * 2 or later in (now, LARGEST_BUDGET)


def reading(given_tokens: int | None = 1000, made: int | None = 100, **usage: int) -> Reading:
    return Reading(outcome="ok", usage=Usage(input_tokens=given_tokens, output_tokens=made, **usage))


PRICES = {
    "gpt-x": {
        "litellm_provider": "openai",
        "input_cost_per_token": Decimal("0.000001"),
        "output_cost_per_token": Decimal("0.000004"),
        "cache_read_input_token_cost": Decimal("0.0000001"),
        "output_cost_per_reasoning_token": Decimal("0.000008"),
    },
    "groq/gpt-x": {"litellm_provider": "groq", "input_cost_per_token": 2e-6, "output_cost_per_token": 0},
    "unpriced": {"litellm_provider": "openai", "supports_reasoning": True},
}


def test_a_cost_is_exact_and_each_kind_of_token_has_its_price() -> None:
    target = endpoint(model="gpt-x")
    assert cost_of(target, None, reading(), PRICES) == (Decimal("0.0014"), "litellm:gpt-x")
    assert cost_of(target, None, reading(cached_tokens=400), PRICES)[0] == Decimal("0.00104")
    assert cost_of(target, None, reading(reasoning_tokens=60), PRICES)[0] == Decimal("0.00164")
    assert cost_of(endpoint("groq", "gpt-x"), None, reading(), PRICES) == (Decimal("0.0020"), "litellm:groq/gpt-x")
    assert cost_of(endpoint(model="gpt-x-2026-01-31"), None, reading(), PRICES)[1] == "litellm:gpt-x"


@pytest.mark.parametrize(
    "target",
    [
        endpoint(model="nobody-knows"),
        endpoint(model="unpriced"),
        endpoint("mistral", "gpt-x"),
        endpoint(model="gpt-x", base_url="https://gateway.test/v1"),
        endpoint("custom_openai_compatible", "gpt-x", base_url="https://api.openai.com/v1"),
    ],
)
def test_an_unknown_price_is_none_and_never_zero(target: Endpoint) -> None:
    assert cost_of(target, None, reading(), PRICES) == (None, None)


def test_a_cost_without_the_provider_s_count_is_unknown() -> None:
    target = endpoint(model="gpt-x")
    assert cost_of(target, None, reading(given_tokens=None), PRICES) == (None, None)
    assert cost_of(target, None, reading(made=None), PRICES) == (None, None)


def test_a_local_server_costs_nothing_whatever_its_model_is_called() -> None:
    assert cost_of(endpoint("ollama", "gpt-x"), None, reading(None, None), PRICES) == (Decimal(0), "local")


@pytest.mark.parametrize(
    "target",
    [
        endpoint(model="gpt-4o"),
        endpoint("anthropic", "claude-haiku-4-5-20251001"),
        endpoint("google_ai_studio", "gemini-2.5-flash"),
        endpoint("google_vertex", "gemini-2.5-flash"),
        endpoint("aws_bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", region="eu-central-1"),
        endpoint("deepseek", "deepseek-chat"),
        endpoint("mistral", "mistral-small-latest"),
    ],
)
def test_the_installed_price_map_knows_the_usual_models(target: Endpoint) -> None:
    price = price_of(target)
    assert price is not None
    assert 0 < price.input <= price.output < Decimal("0.001")
    found = entry_for(target, price_map())
    assert found is not None
    assert f"litellm:{found[0]}" == price.source


def test_whether_a_model_reasons_is_read_from_the_map_and_unknown_where_it_is_silent() -> None:
    assert supports_reasoning(endpoint(model="gpt-5")) is True
    assert supports_reasoning(endpoint(model="gpt-4o")) is False
    assert supports_reasoning(endpoint(model="nobody-knows")) is None


SECRET = 'sk-test-"odd"/+value-123456'


def tape(**changes: Any) -> Tape:
    request = WireRequest(
        "POST",
        f"https://h.test/v1?key={SECRET}",
        (("Authorization", f"Bearer {SECRET}"), ("x-team", SECRET), ("accept", "text/event-stream")),
        json.dumps({"note": SECRET}).encode(),
        "openai",
        32,
        (SECRET,),
    )
    return replace(
        Tape(
            request=request,
            started_at=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC),
            sched_lag_ns=5,
            end_reason="complete",
            end_ns=100,
            error=f"refused {SECRET}",
            headers=(("set-cookie", "session=abcdef"), ("x-ratelimit-remaining-tokens", "12"), ("x-echo", SECRET)),
            chunks=(Chunk(10, b"key is " + SECRET.encode()[:9]), Chunk(20, SECRET.encode()[9:] + b" ok")),
        ),
        **changes,
    )


def test_a_kept_tape_holds_no_secret_in_any_spelling_even_across_chunks() -> None:
    kept = redacted_tape_json(tape())
    loaded = load_tape(kept)
    everything = kept + repr(loaded).encode() + b"".join(chunk.data for chunk in loaded.chunks) + loaded.request.body
    for spelling in (SECRET, json.dumps(SECRET)[1:-1], base64.b64encode(SECRET.encode()).decode(), "session=abcdef"):
        assert spelling.encode() not in everything
    assert b"".join(chunk.data for chunk in loaded.chunks) == b"key is " + b"*" * len(SECRET) + b" ok"
    assert [chunk.at_ns for chunk in loaded.chunks] == [10, 20]
    assert dict(loaded.headers)["x-ratelimit-remaining-tokens"] == "12"
    assert dict(loaded.request.headers)["Authorization"] == MASK
    assert loaded.request.secrets == ()


@given(st.lists(st.tuples(st.integers(0, 10**12), st.binary(max_size=200)), max_size=20), st.integers(0, 10**12))
def test_a_tape_without_secrets_comes_back_byte_for_byte(chunks: list[tuple[int, bytes]], end_ns: int) -> None:
    plain = WireRequest("POST", "https://h.test/v1", (("accept", "x"),), b"\x00\xff{}", "ollama", 5)
    before = tape(
        request=plain,
        chunks=tuple(Chunk(at, data) for at, data in chunks),
        end_ns=end_ns,
        error=None,
        headers=(("content-type", "a/b"),),
        status_code=200,
        conn_reused=True,
    )
    assert load_tape(redacted_tape_json(before)) == before
    assert redacted_tape(before) == before


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"format": 99}', b'{"format": 1}'])
def test_what_is_no_tape_says_so(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"tape|Expecting|codec"):
        load_tape(data)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ('{"x-api-key": "abcdef123456"}', "abcdef123456"),
        ("GET https://h.test/v1?alt=sse&key=abcdef123456&x=1", "abcdef123456"),
        ("Incorrect API key provided: sk-proj-abcdefghijklmnop.", "abcdefghijklmnop"),
        ("AIzaSyA1234567890abcdefghijklmnop is invalid", "AIzaSyA1234567890"),
        ("AKIAIOSFODNN7EXAMPLE has no access", "AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_what_looks_like_a_credential_is_masked_though_nobody_named_it(text: str, gone: str) -> None:
    assert gone not in redact(text)
    assert MASK in redact(text)


@given(st.text(alphabet=st.characters(categories=("Lu", "Ll", "Nd")), max_size=5))
def test_a_value_too_short_to_be_a_secret_masks_no_words(short: str) -> None:
    assert redact("the model said max_tokens=32", [short]) == "the model said max_tokens=32"
