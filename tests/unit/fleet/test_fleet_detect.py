"""Zero configuration: names in the environment, and servers by what they answer."""

import asyncio
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from pipelines.fleet.detect import Detected, DetectedServer, detect, providers_in
from pipelines.fleet.json_schema import PACKAGED, fleet_schema, schema_text
from pipelines.fleet.load import load_text
from pipelines.fleet.write import fleet_yaml
from tests.unit.loopback import serving

SECRET = "value-that-must-not-appear"


def openai_list(*ids: str, owner: str = "someone") -> dict[str, Any]:
    return {"object": "list", "data": [{"id": one, "object": "model", "owned_by": owner} for one in ids]}


SERVERS = [
    (
        {
            "/api/tags": {"models": [{"name": "llama3:8b"}]},
            "/api/version": {"version": "0.9"},
            "/v1/models": openai_list("x"),
        },
        DetectedServer("ollama", "", ("llama3:8b",), "0.9"),
    ),
    (
        {
            "/v1/models": openai_list("qwen"),
            "/api/v0/models": {"data": [{"id": "qwen", "publisher": "q", "arch": "a"}]},
        },
        DetectedServer("lm_studio", "/v1", ("qwen",)),
    ),
    (
        {"/v1/models": openai_list("m", owner="vllm"), "/version": {"version": "0.11"}},
        DetectedServer("vllm", "/v1", ("m",), "0.11"),
    ),
    (
        {
            "/v1/models": openai_list("m", owner="llamacpp"),
            "/props": {"build_info": "b1", "default_generation_settings": {}},
        },
        DetectedServer("llama_cpp", "/v1", ("m",), "b1"),
    ),
    (
        {"/v1/models": (401, {"error": "no key"}), "/health/liveliness": PlainTextResponse('"I\'m alive!"')},
        DetectedServer("litellm_proxy", "/v1", (), None, "LITELLM_MASTER_KEY", needs_key=True),
    ),
    ({"/v1/models": openai_list("m")}, DetectedServer("openai_compatible", "/v1", ("m",))),
]


@pytest.mark.parametrize(("answers", "expected"), SERVERS, ids=[server.kind for _, server in SERVERS])
def test_a_server_is_named_by_what_it_answers(answers: dict[str, Any], expected: DetectedServer) -> None:
    with serving(answers) as vendor:
        port = int(vendor.base.rpartition(":")[2])
        found = asyncio.run(detect({"LITELLM_MASTER_KEY": SECRET}, ports=[port])).servers
        assert len(found) == 1
        assert found[0].base_url == vendor.base + expected.base_url
        assert (found[0].kind, found[0].models, found[0].version) == (expected.kind, expected.models, expected.version)
        assert (found[0].needs_key, found[0].api_key_env) == (expected.needs_key, expected.api_key_env)
        assert SECRET not in json.dumps(vendor.asked), "looking must not send a key"


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {path: HTMLResponse("<h1>hello</h1>") for path in ("/v1/models", "/api/tags", "/health/liveliness", "/props")},
        {"/v1/models": {"object": "list", "data": []}},
        {"/v1/models": RedirectResponse("http://127.0.0.1:9/v1/models")},
        {"/v1/models": PlainTextResponse("[" * 100_000)},
    ],
)
def test_any_other_server_is_not_taken_for_a_model_server(answers: dict[str, Any]) -> None:
    with serving(answers) as vendor:
        port = int(vendor.base.rpartition(":")[2])
        assert asyncio.run(detect({}, ports=[port])).is_empty


def test_ollama_host_is_asked_besides_the_usual_ports() -> None:
    with serving({"/api/tags": {"models": []}, "/v1/models": openai_list()}) as vendor:
        env = {"OLLAMA_HOST": vendor.base.removeprefix("http://")}
        assert [server.base_url for server in asyncio.run(detect(env, ports=[])).servers] == [vendor.base]


@pytest.mark.parametrize(
    ("env", "kind", "missing"),
    [
        ({"OPENAI_API_KEY": "x"}, "openai", ""),
        ({"TOGETHER_API_KEY": "x"}, "together_ai", ""),
        ({"GOOGLE_API_KEY": "x"}, "google_ai_studio", ""),
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}, "aws_bedrock", ""),
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_REGION": "eu-west-1"}, "aws_bedrock", "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "x"}, "aws_bedrock", "AWS_REGION"),
        ({"AZURE_API_KEY": "x"}, "azure_openai", "AZURE_API_BASE"),
        ({"AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}, "azure_openai", "AZURE_API_KEY"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/f"}, "google_vertex", "VERTEXAI_PROJECT"),
    ],
)
def test_providers_are_found_by_their_variables_and_say_what_is_missing(
    env: dict[str, str], kind: str, missing: str
) -> None:
    (found,) = providers_in(env)
    assert found.type == kind
    assert found.is_complete == (missing == "")
    assert missing in "; ".join(found.missing)


def test_an_empty_variable_is_no_key() -> None:
    assert providers_in({"OPENAI_API_KEY": ""}) == ()


_ENV = st.dictionaries(
    st.sampled_from(
        [
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "ANTHROPIC_API_KEY",
            "FIREWORKS_API_KEY",
            "OPENROUTER_API_KEY",
            "AZURE_API_KEY",
            "AZURE_API_BASE",
            "AZURE_API_VERSION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "VERTEXAI_PROJECT",
            "VERTEXAI_LOCATION",
        ]
    ),
    st.just(SECRET),
)
_SERVERS = st.lists(
    st.builds(
        DetectedServer,
        st.sampled_from(["ollama", "lm_studio", "vllm", "llama_cpp", "litellm_proxy", "openai_compatible"]),
        st.integers(1, 65535).map(lambda port: f"http://127.0.0.1:{port}/v1"),
        st.lists(st.text(max_size=20), max_size=6).map(tuple),
        needs_key=st.booleans(),
    ),
    max_size=4,
)


@settings(max_examples=20, deadline=None)
@given(env=_ENV, servers=_SERVERS)
def test_the_written_file_is_valid_and_holds_no_key(env: dict[str, str], servers: list[DetectedServer]) -> None:
    for name in ("OPENAI_BASE_URL", "AZURE_API_BASE"):
        if name in env:
            env[name] = "https://gateway.example/v1"
    detected = Detected(providers_in(env), tuple(servers))
    text = fleet_yaml(detected)
    fleet = load_text(text, env=env).fleet
    assert len(fleet.providers) == len(servers) + sum(provider.is_complete for provider in detected.providers)
    keys = {name for name in env if name.endswith(("_KEY", "_KEY_ID")) and env[name] == SECRET}
    written = {line.strip() for line in text.splitlines() if SECRET in line}
    assert not keys or all(line.lstrip("# ").startswith(("region", "gcp_project", "api_version")) for line in written)
    jsonschema.validate(YAML(typ="safe", pure=True).load(text), fleet_schema())


def test_every_commented_example_is_valid_once_uncommented() -> None:
    lines = []
    for line in fleet_yaml(Detected(providers_in({"AZURE_API_KEY": "x"}))).splitlines():
        bare = line.lstrip()
        if bare.startswith("# ") and (
            bare[2:].lstrip()[:1] in '-"'
            or bare.partition(":")[0][2:].strip().replace("_", "a").replace("-", "a").isalpha()
        ):
            indent = line[: len(line) - len(bare)]
            candidate = indent + bare[2:]
            if ":" in candidate or candidate.strip().startswith("- "):
                lines.append(candidate)
                continue
        lines.append(line)
    text = "\n".join(
        line
        for line in lines
        if "Before uncommenting" not in line and "  - set" not in line and "  - name your" not in line
    )
    text = text.replace("yaml-language-server: $schema=.arguslab/fleet.schema.json", "").replace(
        "Secrets stay", "# Secrets stay"
    )
    text = text.replace("type: azure_openai\n", "type: azure_openai\n    base_url: https://x.openai.azure.com\n")
    fleet = load_text(text).fleet
    assert fleet.maintenance
    assert fleet.routes
    assert fleet.endpoints
    assert {"slack", "pager", "console"} <= fleet.channels.keys()


def test_nothing_found_still_writes_a_file_that_loads() -> None:
    (problem,) = load_text(fleet_yaml(Detected())).problems
    assert "arguslab init" in problem.remedy


def test_the_packaged_schema_is_the_models_own() -> None:
    assert PACKAGED.read_text(encoding="utf-8") == schema_text(), (
        "renew it: arguslab schema > pipelines/fleet/fleet.schema.json"
    )


@pytest.mark.parametrize(
    "text",
    [
        "providers: {x: {type: ollama, models: [a]}}",
        "providers: {x: {type: ollama, models: {include: ['a*']}}}\nprojects: {default: }",
        "projects: {p: {probe_budget: 2.50 USD/day}}",
        "maintenance: [{name: x, from: '22:00', for: 2h, days: [sat]}]",
        "promises: {availability: 99.9%, ttft_p95: 2s}",
        "channels: {a: {type: slack, webhook_url_env: A}, b: {type: console}}",
    ],
)
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    load_text(text)
    jsonschema.validate(YAML(typ="safe", pure=True).load(text), fleet_schema())


@pytest.mark.parametrize("text", ["intervall: 5m", "interval: 5", "channels: {a: {type: slak}}", "providers: {x: {}}"])
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(YAML(typ="safe", pure=True).load(text), fleet_schema())
