"""What a valid fleet will not do as hoped."""

import pytest

from pipelines.fleet.load import load_text

CASES = [
    ("location: x\n", "providers", "nothing is probed", "arguslab init"),
    ("providers: {x: {type: opnai, models: [m]}}\n", "providers.x.type", "LiteLLM provider", "`openai`"),
    ("providers: {x: {type: bedrock, models: [m]}}\n", "providers.x.type", "LiteLLM provider", "`aws_bedrock`"),
    ("providers: {x: {type: cohere}}\n", "providers.x.models", "no list", "models: ["),
    ("providers: {x: {type: google_vertex}}\n", "providers.x.models", "no list", "models: ["),
    ("providers: {x: {type: ollama, expect: yes}}\n", "providers.x.expect", "`prompt`", "prompt"),
    ("providers: {x: {type: ollama, tls: {verify: false}}}\n", "providers.x.tls.verify", "anybody", "ca_file"),
    ("providers: {x: {type: ollama, tls: {ca_file: /no/such}}}\n", "providers.x.tls.ca_file", "no file", "path"),
    ("providers: {x: {type: ollama, interval: 1m}}\n", "providers.x.timeouts", "next is due", "timeouts.total"),
    ("providers: {x: {type: ollama}}\ntimeouts: {connect: 90s}\n", "timeouts.connect", "never runs out", "Lower"),
    (
        "providers: {x: {type: ollama}}\npromises: {availability: 100%}\n",
        "promises.availability",
        "first failure",
        "99.9%",
    ),
    (
        "providers: {x: {type: ollama}}\npromises: {availability: 99.99%, window: 1d}\n",
        "promises.availability",
        "cannot be shown",
        "Probe more often",
    ),
    (
        "providers: {x: {type: ollama}}\nendpoints: {'x/*': {interval: 1d}}\npromises: {window: 7d}\n",
        'endpoints["x/*"].promises.availability',
        "7 probes",
        "Probe more often",
    ),
    (
        "providers: {x: {type: ollama}}\nendpoints: {'y/*': {}}\n",
        'endpoints["y/*"]',
        "matches no endpoint",
        "provider/model",
    ),
    (
        "providers: {x: {type: ollama, models: [llama3]}}\nendpoints: {'x/qwen*': {}}\n",
        'endpoints["x/qwen*"]',
        "matches no endpoint",
        "x/llama3",
    ),
    (
        "providers: {x: {type: ollama}}\nmaintenance: [{name: n, from: 22:00, for: 1h, endpoints: ['z/*']}]\n",
        "maintenance[0].endpoints[0]",
        "matches no endpoint",
        "provider/model",
    ),
    (
        "providers: {x: {type: ollama}}\nroutes: [{channels: [console], owners: [eve]}]\n",
        "routes[0].owners[0]",
        "owned by `eve`",
        "owner:",
    ),
]


@pytest.mark.parametrize(("text", "key", "message", "remedy"), CASES, ids=[case[1] + case[2] for case in CASES])
def test_each_vain_hope_is_told(text: str, key: str, message: str, remedy: str) -> None:
    problems = load_text(text).problems
    assert len(problems) == 1, [str(problem) for problem in problems]
    problem = problems[0]
    assert (problem.severity, problem.key) == ("warning", key)
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.line is not None


def test_a_sound_fleet_has_no_warnings() -> None:
    text = "providers: {x: {type: ollama}}\nendpoints: {'x/*': {owner: a}, '*': {}, 'x*': {}}\n"
    assert load_text(text, env={}, listed={"x": ["llama3"]}).problems == ()


def test_variables_that_are_not_set_are_named() -> None:
    text = (
        "providers:\n  o: {type: openai}\n  off: {type: groq, enabled: false}\n"
        "  c: {type: custom_openai_compatible, base_url: 'http://127.0.0.1:1', headers_env: {x-a: HEAD}}\n"
        "channels: {s: {type: slack, webhook_url_env: SLACK}}\nalerting: {heartbeat_url_env: BEAT}\n"
    )
    problems = load_text(text, env={"SLACK": "https://x"}).problems
    assert {problem.message.split()[3] for problem in problems} == {"OPENAI_API_KEY", "HEAD", "BEAT"}
    assert load_text(text, env={"SLACK": "x", "OPENAI_API_KEY": "x", "HEAD": "x", "BEAT": "x"}).problems == ()


def test_patterns_are_judged_against_what_discovery_listed() -> None:
    text = "providers: {x: {type: ollama, models: {include: ['gpt*'], exclude: ['llama*']}}}\n"
    problems = load_text(text, listed={"x": ["llama3"]}).problems
    assert [problem.key for problem in problems] == ["providers.x.models.include[0]"]
    assert "arguslab discover x" in problems[0].remedy
