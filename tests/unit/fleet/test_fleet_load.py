"""Every problem of fleet.yaml with its line, its key and what to write instead."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fleet.load import load_fleet, load_text
from pipelines.fleet.problems import FleetError, Problem
from pipelines.fleet.tree import MAX_BYTES


def problems_of(text: str | bytes, **options: object) -> tuple[Problem, ...]:
    with pytest.raises(FleetError) as caught:
        load_text(text, **options)  # type: ignore[arg-type]
    return caught.value.problems


def only(text: str | bytes) -> Problem:
    problems = problems_of(text)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


CASES = [
    # text, line, key, in the message, in the remedy
    ("intervall: 5m\n", 1, "intervall", "no such key", "Did you mean `interval`?"),
    ("interval: 300\n", 1, "interval", "has no unit", "Write 5m"),
    ("interval: 10s\n", 1, "interval", "shortest interval is 1m", ""),
    ("interval: soon\n", 1, "interval", "not a duration", "30s, 5m"),
    ("interval: 0s\n", 1, "interval", "no time at all", "above zero"),
    ("interval: 99999999999999w\n", 1, "interval", "longer than any clock", "shorter"),
    (
        "providers:\n  x:\n    type: openai\n    api_key_en: A\n",
        4,
        "providers.x.api_key_en",
        "no such",
        "`api_key_env`",
    ),
    ("providers:\n  x:\n    base_url: https://a.example\n", 2, "providers.x.type", "missing", "type: openai"),
    ("providers:\n  openia: {}\n", 2, "providers.openia.type", "missing", "type: openai"),
    (
        "providers:\n  x: {type: openai, api_key_env: 9x}\n",
        2,
        "providers.x.api_key_env",
        "not the name",
        "OPENAI_API_KEY",
    ),
    ("providers:\n  x: {type: openai, base_url: a.example}\n", 2, "providers.x.base_url", "not a base URL", "https://"),
    ("providers:\n  x: {type: azure_openai}\n", 2, "providers.x.base_url", "missing", "openai.azure.com"),
    ("providers:\n  x: {type: custom_openai_compatible}\n", 2, "providers.x.base_url", "missing", "127.0.0.1"),
    (
        "providers:\n  x:\n    type: openai\n    api_key_env: GROQ_API_KEY\n",
        4,
        "providers.x.api_key_env",
        "key of groq",
        "OPENAI_API_KEY",
    ),
    (
        "providers:\n  x: {type: ollama, project: taem}\nprojects: {team: {}}\n",
        2,
        "providers.x.project",
        "no project",
        "`team`",
    ),
    (
        "providers:\n  x: {type: ollama, limits: {rpm: many}}\n",
        2,
        "providers.x.limits.rpm",
        "whole number",
        "whole number",
    ),
    (
        "providers:\n  x: {type: ollama, limits: {concurrency: 0}}\n",
        2,
        "providers.x.limits.concurrency",
        "range",
        "at least 1",
    ),
    (
        "providers:\n  x: {type: ollama, models: {include: gpt}}\n",
        2,
        "providers.x.models.include",
        "not a list",
        "[a, b]",
    ),
    ("providers:\n  x: {type: ollama, owner: 7}\n", 2, "providers.x.owner", "not text", "quote it"),
    (
        "providers:\n  x: {type: ollama, tls: {verify: perhaps}}\n",
        2,
        "providers.x.tls.verify",
        "not true or false",
        "true",
    ),
    ("providers:\n  a b: {type: ollama}\n", 2, 'providers["a b"]', "not a name", "letters"),
    ("providers: [openai]\n", 1, "providers", "a list is not a mapping", "key: value"),
    ("projects:\n  p: {probe_budget: 5}\n", 2, "projects.p.probe_budget", "no period", "$5/day"),
    ("projects:\n  p: {probe_budget: lots}\n", 2, "projects.p.probe_budget", "not an amount", "$2000/month"),
    ("projects:\n  p: {probe_budget: {usd: -5, per: day}}\n", 2, "projects.p.probe_budget.usd", "range", "at least 0"),
    ("promises: {availability: 99}\n", 1, "promises.availability", "outside 0%..100%", "99.9%"),
    ("promises: {availability: much}\n", 1, "promises.availability", "not a percentage", "99.9%"),
    ("channels:\n  ops: {type: slak, webhook_url_env: A}\n", 2, "channels.ops", "no channel type", "`slack`"),
    ("channels:\n  ops: {webhook_url_env: A}\n", 2, "channels.ops", "no `type`", "console | slack"),
    ("channels:\n  ops:\n    type: slack\n", 2, "channels.ops.webhook_url_env", "missing", "webhook_url_env: …"),
    ("channels:\n  ops: {type: webhook}\n", 2, "channels.ops", "exactly one address", "url or url_env"),
    ("channels:\n  c: {type: console}\nroutes:\n  - channels: [cc]\n", 4, "routes[0].channels[0]", "no channel", "`c`"),
    ("routes:\n  - channels: []\n", 2, "routes[0].channels", "empty", "at least one"),
    (
        "routes:\n  - {channels: [console], severities: [majr]}\n",
        2,
        "routes[0].severities[0]",
        "not allowed",
        "`major`",
    ),
    ("alerting:\n  escalate_to: [boss]\n", 2, "alerting.escalate_to[0]", "no channel", "channels:"),
    (
        "maintenance:\n  - {name: x, start: 2026-12-01, end: 2026-12-02T00:00:00Z}\n",
        2,
        "maintenance[0].start",
        "time zone",
        "+01:00",
    ),
    ("maintenance:\n  - {name: x, from: 25:00, for: 2h}\n", 2, "maintenance[0].from", "time of day", "22:00"),
    ("maintenance:\n  - {name: x, from: 22:00, for: 30h}\n", 2, "maintenance[0]", "at most 24h", "start and end"),
    ("maintenance:\n  - {name: x, from: 22:00}\n", 2, "maintenance[0]", "lacks its times", "from (HH:MM)"),
    ("maintenance:\n  - {name: x}\n", 2, "maintenance[0]", "one-off or recurring", "start and end"),
    (
        "maintenance:\n  - {name: x, from: 22:00, for: 2h, timezone: Europe/Berln}\n",
        2,
        "maintenance[0].timezone",
        "not a time zone",
        "Europe/Berlin",
    ),
    ("a: 1\nb:\n\t- x\n", 3, "", "tab", "spaces"),
    ("a: b: c\n", 1, "", "not YAML", "Quote"),
    ("a: [1, 2\n", 2, "", "not YAML", ""),
    ("a: *nowhere\n", 1, "", "not YAML", "anchor"),
    ("a: 1\n---\nb: 2\n", 2, "", "not YAML", "one document"),
    ("- a\n- b\n", 1, "", "a list at its top level", "providers"),
    ("just words\n", 1, "", "a single value", "providers"),
    ("a: &x {b: *x}\n", 1, "a.b", "contains itself", "inner alias"),
    ("location: !!python/object:os.system x\n", 1, "location", "no meaning", "Remove"),
    ("? [a, b]\n: c\n", 1, "", "plain word", "key: value"),
]


@pytest.mark.parametrize(("text", "line", "key", "message", "remedy"), CASES, ids=[case[2] + case[3] for case in CASES])
def test_each_mistake_is_told_with_line_key_and_remedy(
    text: str, line: int, key: str, message: str, remedy: str
) -> None:
    problem = only(text)
    assert (problem.line, problem.key) == (line, key), str(problem)
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.remedy


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = (
        "intervall: 5m\nproviders:\n  x: {type: ollama, project: nope}\npromises: {availability: 99}\nbuild_every: 3\n"
    )
    assert [problem.line for problem in problems_of(text)] == [1, 3, 4, 5]


def test_a_duplicate_key_is_told_with_both_lines_wherever_it_stands() -> None:
    problems = problems_of("interval: 5m\ninterval: 6m\npromises:\n  window: 1d\n  window: 2d\n")
    assert [(problem.line, problem.key) for problem in problems] == [(2, "interval"), (5, "promises.window")]
    assert "line 1" in problems[0].message
    assert "line 4" in problems[1].message


def test_every_tab_is_told() -> None:
    assert [problem.line for problem in problems_of("a:\n\tb: 1\n\tc: 2\n")] == [2, 3]


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop",
        "gsk_abcDEF1234567890abcdef",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz012",
        "https://hooks.slack.com/services/T000/B000/xxxxxxxx",
        "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5",
    ],
)
@pytest.mark.parametrize(
    "template",
    [
        "providers:\n  x: {{type: openai, api_key_env: '{}'}}\n",
        "providers:\n  x: {{type: ollama, headers_env: {{authorization: '{}'}}}}\n",
        "providers:\n  x: {{type: ollama, headers: {{authorization: 'Bearer {}'}}}}\n",
        "channels:\n  x: {{type: slack, webhook_url_env: '{}'}}\n",
        "alerting: {{heartbeat_url_env: '{}'}}\n",
        "providers:\n  x: {{type: openai, api_key: '{}'}}\n",
        "interval: '{}'\n",
        "providers:\n  x: {{type: ollama, project: '{}'}}\n",
    ],
)
def test_a_pasted_secret_is_refused_and_never_repeated(secret: str, template: str) -> None:
    problems = problems_of(template.format(secret))
    told = "\n".join(str(problem) for problem in problems)
    assert secret not in told
    assert secret[:12] not in told
    if "_env" in template:
        assert "NAME of an environment variable" in told


def test_a_password_in_a_base_url_is_refused_and_not_repeated() -> None:
    problem = only("providers:\n  x: {type: ollama, base_url: 'https://me:hunter2@a.example'}\n")
    assert "user name or a password" in problem.message
    assert "hunter2" not in str(problem)


def test_yaml_1_2_keeps_times_and_no_as_text() -> None:
    text = "location: no\nmaintenance:\n  - {name: n, days: [sat], from: 22:00, for: 2h}\n"
    fleet = load_text(text).fleet
    assert fleet.location == "no"
    assert fleet.maintenance[0].from_ == "22:00"


def test_sections_whose_lines_are_commented_out_are_as_if_not_written() -> None:
    fleet = load_text("providers:\n  # openai: {}\nroutes:\nprojects:\n  default:\n").fleet
    assert fleet.providers == {}
    assert fleet.projects["default"].probe_budget.usd_per_day == 1


def test_anchors_and_merge_keys_work() -> None:
    text = (
        "providers:\n  a: &base {type: ollama, base_url: 'http://127.0.0.1:1', interval: 10m}\n"
        "  b:\n    <<: *base\n    interval: 20m\n"
    )
    providers = load_text(text).fleet.providers
    assert providers["b"].base_url == "http://127.0.0.1:1"
    assert providers["b"].interval is not None
    assert providers["b"].interval.total_seconds() == 1200


def test_a_billion_laughs_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases" in only("\n".join(lines)).message


def test_deep_nesting_is_refused() -> None:
    assert "nested too deeply" in only("a: " + "[" * 1500).message


def test_a_file_over_a_mebibyte_is_refused_unread() -> None:
    assert "refused" in only(b"#" * (MAX_BYTES + 1)).message


def test_a_byte_order_mark_is_accepted() -> None:
    assert load_text("﻿interval: 7m\n").fleet.interval.total_seconds() == 420


def test_windows_line_ends_keep_the_line_numbers() -> None:
    assert only("interval: 5m\r\nlocaton: x\r\n").line == 2


def test_a_file_that_is_not_utf8_is_told_where() -> None:
    problem = only("interval: 5m\nlocation: München\n".encode("latin-1"))
    assert (problem.line, problem.column) == (2, 12)
    assert "UTF-8" in problem.remedy


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_is_told(text: str) -> None:
    assert "empty" in only(text).message


def test_a_missing_file_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(FleetError) as caught:
        load_fleet(tmp_path / "fleet.yaml")
    assert "arguslab init" in caught.value.problems[0].remedy


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetError) as caught:
        load_fleet(tmp_path)
    assert "cannot be read" in caught.value.problems[0].message


def test_where_is_what_an_editor_can_open() -> None:
    assert str(only("intervall: 5m\n")).startswith("fleet.yaml:1:1: intervall: ")


# ── Properties ──────────────────────────────────────────────────────────────────────────────────────────────────

_KEYS = ["providers", "channels", "routes", "maintenance", "interval", "promises", "type", "api_key_env", "models", "x"]
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.sampled_from(_KEYS))
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(_KEYS), st.text(max_size=6)), inner, max_size=4),
    ),
    max_leaves=15,
)


def _loads_or_tells(data: str | bytes) -> None:
    try:
        load_text(data, env={}, listed={})
    except FleetError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.message and problem.remedy for problem in problems)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _values, max_size=5))
def test_any_structure_is_loaded_or_told(value: dict[str, object]) -> None:
    import json

    _loads_or_tells(json.dumps(value))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="ab:-[]{}&*!|>%@`\"'\\#?,.~<=\n\t 019xuU", max_size=40)))
def test_any_text_is_loaded_or_told(text: str) -> None:
    _loads_or_tells(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_loaded_or_told(data: bytes) -> None:
    _loads_or_tells(data)


@settings(max_examples=60, deadline=None)
@given(
    interval=st.integers(1, 10_000),
    availability=st.integers(1, 99_999),
    budget=st.decimals(0, 10_000, places=2),
    period=st.sampled_from(["day", "week", "month", "quarter", "year"]),
    models=st.lists(st.from_regex(r"[a-z0-9][a-z0-9:./-]{0,20}", fullmatch=True), max_size=4, unique=True),
)
def test_a_valid_fleet_reads_back_as_it_was_written(
    interval: int, availability: int, budget: Decimal, period: str, models: list[str]
) -> None:
    import json

    text = (
        f"interval: {interval}m\npromises: {{availability: {availability / 1000}%}}\n"
        f"projects: {{p: {{probe_budget: ${budget}/{period}}}}}\n"
        f"providers: {{x: {{type: ollama, project: p, models: {json.dumps(models)}}}}}\n"
    )
    fleet = load_text(text).fleet
    assert fleet.interval.total_seconds() == interval * 60
    assert fleet.promises.availability == pytest.approx(availability / 100_000)
    assert (fleet.projects["p"].probe_budget.usd, fleet.projects["p"].probe_budget.per) == (budget, period)
    assert fleet.providers["x"].models.also == tuple(models)
    again = type(fleet).model_validate_json(
        fleet.model_dump_json(by_alias=True, exclude_defaults=True, exclude={"interval", "promises"})
    )
    assert again.providers == fleet.providers
