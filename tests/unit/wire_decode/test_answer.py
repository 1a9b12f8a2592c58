"""The canary and the model check: right, wrong, and rather silent than a false alarm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wire.answer import is_model_allowed, is_right


@pytest.mark.parametrize(
    "answer",
    [
        "391",
        "391.",
        "**391**",
        "_391_",
        "$391$",
        "= 391!",
        "17 × 23 = 391",
        "(391)",
        "391.00",
        "답은391이다",
        "答案是391。",
        "x=391,\n",
    ],
)
def test_the_number_is_found_as_a_word_of_its_own(answer: str) -> None:
    assert is_right(answer, "391")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "3910",
        "1391",
        "391.5",
        "3,91",
        "0.391",
        "391,000",
        "1,391",
        "x391",
        "391st",
        "-391",
        "= −391",
        "3 91",
        "391e2",
    ],
)
def test_another_number_is_not_it(answer: str) -> None:
    assert not is_right(answer, "391")


@pytest.mark.parametrize(
    "answer", ["1391", "1,391", "1 391", "1\u202f391", "1'391", "1_391", "1.391", "1{,}391", "1\\,391"]
)
def test_digit_separators_are_ignored(answer: str) -> None:
    # A plain space is no separator: "1 391" is two numbers.
    assert is_right(answer, "1391") == (answer != "1 391")


def test_other_words_are_contained_in_any_case() -> None:
    assert is_right("The capital is PARIS.", "Paris")
    assert not is_right("London", "Paris")


@given(st.text(max_size=200), st.integers(0, 10**9))
def test_any_answer_can_be_judged(answer: str, expect: int) -> None:
    is_right(answer, str(expect))


@given(st.integers(100, 10**9), st.sampled_from(["{}", "{:,}", "It is {:_}.", "**{}**"]))
def test_every_way_of_writing_the_number_is_right(number: int, form: str) -> None:
    assert is_right(form.format(number), str(number))
    assert not is_right(form.format(number), str(number + 1))


@pytest.mark.parametrize(
    ("requested", "response"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("gpt-5-nano", "gpt-5-nano-2025-08-07"),
        ("claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-4-sonnet-20250522"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("gemini-2.5-flash", "gemini-2.5-flash-preview-05-20"),
        ("accounts/fireworks/models/llama-v3p1-8b", "accounts/fireworks/models/llama-v3p1-8b"),
        ("llama3.2", "llama3.2:latest"),
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/llama-3.1-8b-instruct"),
    ],
)
def test_the_model_itself_and_its_snapshots_may_answer(requested: str, response: str) -> None:
    assert is_model_allowed(response, requested, None) is True


@pytest.mark.parametrize(
    ("requested", "response"),
    [
        ("gpt-4o", "gpt-3.5-turbo-0125"),
        ("claude-3-5-sonnet-20241022", "claude-3-haiku-20240307"),
        ("gemini-2.5-pro", "gemini-2.5-flash"),
        ("steady-2", "steady-mini-7"),
    ],
)
def test_another_version_of_the_family_is_the_wrong_model(requested: str, response: str) -> None:
    assert is_model_allowed(response, requested, None) is False


@pytest.mark.parametrize(
    ("requested", "response"),
    [
        ("my-deployment", "gpt-4o-2024-08-06"),
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4", "gpt-4.1"),
        ("openrouter/auto", "openai/gpt-5"),
        ("gemini-flash-latest", "gemini-2.5-flash"),
        ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
        ("mistral-small-latest", "mistral-small-2506"),
        ("deepseek-chat", "deepseek-v3.2"),
        ("llama-3.1-8b-instant", "llama3.1-8b"),
        ("fast", "claude-3-haiku-20240307"),
        ("local-model", "qwen2.5-7b-instruct"),
        ("gpt-4o", None),
        (None, "gpt-4o"),
    ],
)
def test_when_unsure_nothing_is_said(requested: str | None, response: str | None) -> None:
    assert is_model_allowed(response, requested, None) is not False


def test_patterns_match_the_whole_id_or_its_last_segment() -> None:
    assert is_model_allowed("accounts/x/models/Llama-3", "other", ["llama-*"]) is True
    assert is_model_allowed("a/b", "a/b", ["c*"]) is False
    assert is_model_allowed(None, "a", ["c*"]) is None
