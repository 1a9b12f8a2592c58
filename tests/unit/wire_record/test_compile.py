import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.fleet import Endpoint, Fleet, resolve
from pipelines.wire.capture import capture
from pipelines.wire.compile import _fresh, compile_many, compile_request
from pipelines.wire.credentials import CompileError, check_host, credentials_for
from pipelines.wire.prompt import Probe
from pipelines.wire.template import Template

NASTY = Probe('[ab12] "quoted" \\ back\nline {x} é 漢 7919113 arguslab-secret-X- trailing  ', None)
KEYS = (
    *("OPENAI", "ANTHROPIC", "GEMINI", "OPENROUTER", "TOGETHERAI", "GROQ", "MISTRAL"),
    *("XAI", "FIREWORKS_AI", "DEEPSEEK", "AZURE"),
)
ENV = {f"{name}_API_KEY": f"key-of-{name.lower()}-0123456789" for name in KEYS} | {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIexamplesecret",
    "AWS_BEARER_TOKEN_BEDROCK": "",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.token-of-google",
    "MY_KEY": "key-of-mine-0123456789",
    "TEAM": "team-header-value-1",
}
BEDROCK = "anthropic.claude-haiku-4-5-20251001-v1:0"


def endpoint(type_: str, model: str = "m-1", **settings: Any) -> Endpoint:
    provider = {"type": type_, "models": [model]} | settings
    (found,) = resolve(Fleet.model_validate({"providers": {"p": provider}}), {})
    return found


CASES: dict[str, tuple[Endpoint, str, dict[str, str], dict[str, Any]]] = {
    "openai": (
        endpoint("openai"),
        "https://api.openai.com/v1/chat/completions",
        {"authorization": "Bearer key-of-openai-0123456789"},
        {"model": "m-1", "max_completion_tokens": 33, "stream": True, "stream_options": {"include_usage": True}},
    ),
    "azure": (
        endpoint("azure_openai", base_url="https://x.openai.azure.com", api_key_env="AZURE_API_KEY"),
        "https://x.openai.azure.com/openai/deployments/m-1/chat/completions?api-version=2024-10-21",
        {"api-key": "key-of-azure-0123456789"},
        {"max_completion_tokens": 33, "stream": True, "stream_options": {"include_usage": True}},
    ),
    "anthropic": (
        endpoint("anthropic"),
        "https://api.anthropic.com/v1/messages",
        {"x-api-key": "key-of-anthropic-0123456789", "anthropic-version": "2023-06-01"},
        {"model": "m-1", "max_tokens": 33, "stream": True},
    ),
    "anthropic behind a gateway": (
        endpoint("anthropic", base_url="http://127.0.0.1:4000/v1/", api_key_env="MY_KEY"),
        "http://127.0.0.1:4000/v1/messages",
        {"x-api-key": "key-of-mine-0123456789"},
        {"max_tokens": 33},
    ),
    "bedrock": (
        endpoint("aws_bedrock", BEDROCK, region="eu-central-1"),
        (
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/"
            "anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream"
        ),
        {"x-amz-date": "20261120T120000Z"},
        {"inferenceConfig": {"maxTokens": 33}},
    ),
    "bedrock with an API key": (
        endpoint("aws_bedrock", BEDROCK, region="eu-central-1", api_key_env="MY_KEY"),
        (
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/"
            "anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream"
        ),
        {"authorization": "Bearer key-of-mine-0123456789"},
        {"inferenceConfig": {"maxTokens": 33}},
    ),
    "ollama": (
        endpoint("ollama"),
        "http://127.0.0.1:11434/api/chat",
        {"content-type": "application/json"},
        {"model": "m-1", "stream": True, "options": {"num_predict": 33}},
    ),
    "xai": (endpoint("xai"), "https://api.x.ai/v1/chat/completions", {}, {"max_tokens": 33}),
    "deepseek": (endpoint("deepseek"), "https://api.deepseek.com/chat/completions", {}, {"max_tokens": 33}),
    "mistral": (endpoint("mistral"), "https://api.mistral.ai/v1/chat/completions", {}, {"max_tokens": 33}),
    "lm_studio": (
        endpoint("lm_studio"),
        "http://127.0.0.1:1234/v1/chat/completions",
        {},
        {"max_tokens": 33, "stream_options": {"include_usage": True}},
    ),
    "groq": (endpoint("groq"), "https://api.groq.com/openai/v1/chat/completions", {}, {"max_tokens": 33}),
    "openrouter": (endpoint("openrouter"), "https://openrouter.ai/api/v1/chat/completions", {}, {"max_tokens": 33}),
    "together_ai": (endpoint("together_ai"), "https://api.together.xyz/v1/chat/completions", {}, {"max_tokens": 33}),
    "fireworks_ai": (
        endpoint("fireworks_ai"),
        "https://api.fireworks.ai/inference/v1/chat/completions",
        {},
        {"model": "accounts/fireworks/models/m-1", "max_tokens": 33},
    ),
    "gemini": (
        endpoint("google_ai_studio"),
        "https://generativelanguage.googleapis.com/v1beta/models/m-1:streamGenerateContent?alt=sse",
        {"x-goog-api-key": "key-of-gemini-0123456789"},
        {},
    ),
    "vertex": (
        endpoint("google_vertex", "gemini-2.5-flash", region="europe-west4", gcp_project="p1"),
        (
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p1/locations/europe-west4/publishers/google/"
            "models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        ),
        {"authorization": "Bearer ya29.token-of-google"},
        {},
    ),
    "custom": (
        endpoint(
            "custom_openai_compatible",
            base_url="http://127.0.0.1:9/v1",
            api_key_env="MY_KEY",
            headers={"X-Literal": "yes"},
            headers_env={"X-Team": "TEAM"},
            params={"temperature": 0.2},
        ),
        "http://127.0.0.1:9/v1/chat/completions",
        {"authorization": "Bearer key-of-mine-0123456789", "x-literal": "yes", "x-team": "team-header-value-1"},
        {"max_tokens": 33, "temperature": 0.2},
    ),
    "custom without a key": (
        endpoint("custom_openai_compatible", base_url="http://127.0.0.1:9/v1", token_limit="max_completion_tokens"),
        "http://127.0.0.1:9/v1/chat/completions",
        {},
        {"max_completion_tokens": 33},
    ),
    "any other of LiteLLM's": (
        endpoint("perplexity", api_key_env="MY_KEY"),
        "https://api.perplexity.ai/chat/completions",
        {"authorization": "Bearer key-of-mine-0123456789"},
        {"stream": True},
    ),
}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_key_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*ENV, "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return


@pytest.mark.parametrize("name", CASES)
def test_a_request_is_compiled_offline_as_its_provider_wants_it(name: str) -> None:
    target, url, headers, body = CASES[name]
    request = compile_request(target, NASTY, 33, ENV, now=NOON)
    sent = dict(request.headers)
    assert (request.method, request.url, request.dialect, request.max_tokens) == ("POST", url, target.dialect, 33)
    assert len(sent) == len(request.headers)
    assert headers.items() <= sent.items()
    assert sent["accept-encoding"] == "identity"
    assert sent["content-type"].startswith("application/json")
    assert not [header for header in sent if header.startswith("x-stainless") or header == "http-referer"]
    assert body.items() <= json.loads(request.body).items()
    assert "33" in request.body.decode()
    assert NASTY.prompt in _texts(json.loads(request.body))
    own = {ENV[variable] for variable in credentials_for(target, ENV).secrets}
    assert set(request.secrets) == own
    everything = request.url + repr(request.headers) + request.body.decode()
    assert not [value for value in ENV.values() if value and value not in own and value in everything]
    if not own:
        assert "authorization" not in sent


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for child in children for text in _texts(child)]


@pytest.mark.parametrize("name", CASES)
def test_a_request_from_a_kept_template_equals_a_fresh_one_byte_for_byte(name: str) -> None:
    target = CASES[name][0]
    store: dict[str, str] = {}
    compile_request(target, Probe("first", None), 16, ENV, templates=store)
    (text,) = store.values()
    assert not [value for value in ENV.values() if value and value in text]
    again = compile_request(target, NASTY, 33, ENV, templates=dict(store), now=NOON)
    credentials = credentials_for(target, ENV)
    fresh = _fresh(target, NASTY.prompt, 33, credentials, credentials.secrets)
    assert (again.method, again.url, again.body, again.secrets) == (fresh.method, fresh.url, fresh.body, fresh.secrets)
    if credentials.is_signed:
        again_unsigned = [pair for pair in again.headers if pair[0] not in ("authorization", "x-amz-date")]
        assert again_unsigned == list(fresh.headers)
    else:
        assert again == fresh


def test_our_signature_is_the_one_that_litellm_makes_for_the_same_moment() -> None:
    target = CASES["bedrock"][0]
    sent = capture(
        "bedrock",
        {
            "model": f"bedrock/{BEDROCK}",
            "messages": [{"role": "user", "content": "hello"}],
            "stream": True,
            "max_tokens": 33,
            "aws_region_name": "eu-central-1",
            "aws_access_key_id": ENV["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": ENV["AWS_SECRET_ACCESS_KEY"],
        },
        None,
    )
    theirs = {name.lower(): value for name, value in sent[2]}
    moment = datetime.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = dict(compile_request(target, Probe("hello", None), 33, ENV, now=moment).headers)
    assert ours["authorization"] == theirs["authorization"]


def test_a_session_token_is_signed_and_sent() -> None:
    env = ENV | {"AWS_SESSION_TOKEN": "session-token-0123456789"}
    request = compile_request(CASES["bedrock"][0], NASTY, 33, env, now=NOON)
    assert dict(request.headers)["x-amz-security-token"] == "session-token-0123456789"
    assert "session-token-0123456789" in request.secrets


@pytest.mark.parametrize(
    ("target", "reason", "word"),
    [
        (endpoint("openai", api_key_env="ABSENT_KEY"), "missing_key", "ABSENT_KEY"),
        (endpoint("groq", headers_env={"X-Team": "ABSENT"}), "missing_key", "ABSENT"),
        (endpoint("custom_openai_compatible", api_key_env="MY_KEY"), "missing_setting", "api.openai.com"),
        (endpoint("azure_openai", api_key_env="MY_KEY"), "missing_setting", "base_url"),
        (endpoint("aws_bedrock"), "missing_setting", "region"),
        (endpoint("google_vertex"), "missing_setting", "gcp_project"),
        (endpoint("google_vertex", gcp_project="p", api_key_env="ABSENT"), "missing_key", "gcloud auth"),
        (endpoint("nonsense", api_key_env="MY_KEY"), "unknown_provider", "nonsense"),
        (endpoint("cohere_chat", api_key_env="MY_KEY"), "unsupported", "cohere"),
        (endpoint("anthropic", params={"frequency_penalty": 1}), "bad_value", "frequency_penalty"),
    ],
)
def test_what_cannot_be_compiled_says_why_and_what_to_do(target: Endpoint, reason: str, word: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_request(target, NASTY, 33, ENV)
    assert caught.value.reason == reason
    assert word in caught.value.remedy
    assert not [value for value in ENV.values() if value and value in caught.value.remedy]


def test_bedrock_without_credentials_names_the_variables() -> None:
    with pytest.raises(CompileError, match="AWS_ACCESS_KEY_ID"):
        compile_request(CASES["bedrock"][0], NASTY, 33, {})


def test_a_key_with_a_line_break_is_refused_before_it_reaches_a_header() -> None:
    with pytest.raises(CompileError) as caught:
        compile_request(endpoint("openai"), NASTY, 33, {"OPENAI_API_KEY": "sk-abc\nX-Evil: 1"})
    assert caught.value.reason == "bad_value"
    trimmed = compile_request(endpoint("openai"), NASTY, 33, {"OPENAI_API_KEY": " sk-abcdef \n"})
    assert dict(trimmed.headers)["authorization"] == "Bearer sk-abcdef"


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (endpoint("openai"), "https://api.anthropic.com/v1/messages"),
        (endpoint("openai"), "http://api.openai.com/v1/chat/completions"),
        (endpoint("custom_openai_compatible", base_url="http://127.0.0.1:9/v1"), "https://api.openai.com/v1/x"),
        (endpoint("custom_openai_compatible", base_url="http://127.0.0.1:9/v1"), "http://127.0.0.1:10/v1/x"),
        (endpoint("cohere_chat", api_key_env="MY_KEY"), "https://api.openai.com/v1/chat/completions"),
        (endpoint("aws_bedrock", region="eu-central-1"), "https://bedrock-runtime.us-east-1.amazonaws.com/model/x"),
        (
            endpoint("aws_bedrock", region="eu-central-1"),
            "https://bedrock-runtime.evil.test/eu-central-1.amazonaws.com",
        ),
        (endpoint("google_vertex", gcp_project="p"), "https://aiplatform.googleapis.com.evil.test/v1"),
    ],
)
def test_a_request_to_any_host_but_the_endpoint_s_own_is_refused(target: Endpoint, url: str) -> None:
    with pytest.raises(CompileError) as caught:
        check_host(target, url, "eu-central-1")
    assert caught.value.reason == "foreign_host"


def test_another_provider_s_key_in_a_literal_header_is_refused() -> None:
    target = endpoint("groq", headers={"X-Proxy-Key": ENV["OPENAI_API_KEY"]})
    with pytest.raises(CompileError) as caught:
        compile_request(target, NASTY, 33, ENV)
    assert caught.value.reason == "foreign_key"
    assert "OPENAI_API_KEY" in caught.value.remedy


def test_a_template_is_used_only_for_the_settings_that_made_it() -> None:
    store: dict[str, str] = {}
    for target in (endpoint("groq"), endpoint("groq", "m-2"), endpoint("groq", params={"temperature": 1})):
        compile_request(target, NASTY, 33, ENV, templates=store)
    assert len(store) == 3


def test_a_torn_template_is_compiled_again() -> None:
    store: dict[str, str] = {}
    first = compile_request(endpoint("groq"), NASTY, 33, ENV, templates=store)
    (key, text), *_ = store.items()
    for torn in ("", "{", "null", text[: len(text) // 2], '{"version": 0}'):
        store[key] = torn
        assert compile_request(endpoint("groq"), NASTY, 33, ENV, templates=store) == first
        assert Template.from_json(store[key])


def test_one_bad_endpoint_does_not_spoil_a_batch() -> None:
    first, second = compile_many([(endpoint("cohere_chat"), NASTY, 33), (endpoint("groq"), NASTY, 33)], ENV)
    assert isinstance(first, CompileError)
    assert not isinstance(second, CompileError)


def test_a_kept_template_needs_no_litellm_and_importing_the_modules_loads_none() -> None:
    store: dict[str, str] = {}
    target = CASES["bedrock"][0]
    wanted = compile_request(target, NASTY, 33, ENV, templates=store, now=NOON)
    script = """
import json, sys
from datetime import datetime
from pipelines.fleet import Endpoint
from pipelines.wire import compile, live, prepare, prices, prompt, record, reference, rows, sweep
given = json.load(sys.stdin)
now = datetime.fromisoformat(given["now"])
probe = prompt.Probe(given["prompt"], None)
target = Endpoint.model_validate(given["endpoint"])
request = compile.compile_request(target, probe, 33, given["env"], templates=given["store"], now=now)
assert prices.price_of(target) is not None
loaded = [name for name in ("litellm", "openai") if name in sys.modules]
print(json.dumps({"headers": request.headers, "loaded": loaded}))
"""
    given = {"env": ENV, "store": store, "now": NOON.isoformat(), "prompt": NASTY.prompt}
    given["endpoint"] = json.loads(target.model_dump_json())
    given["endpoint"].pop("interval"), given["endpoint"].pop("timeouts"), given["endpoint"].pop("promises")
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["loaded"] == []
    assert [tuple(pair) for pair in told["headers"]] == list(wanted.headers)
