"""Each provider's list from real servers: every page, every typed failure, and no key for a stranger."""

import asyncio
import json
import socket
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from pipelines.discovery import Discovered, discover, discover_all
from pipelines.discovery.access import Session, open_client
from pipelines.discovery.model import DiscoveryError
from pipelines.fleet.models import Provider, Tls
from pipelines.fleet.validate import load_text
from tests.unit.loopback import Vendor, serving

KEY = "the-vendors-own-key"
ENV = {
    "THE_KEY": KEY,
    "OPENAI_API_KEY": KEY,
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_REGION": "eu-west-1",
}


def ask(provider: dict[str, Any], env: dict[str, str] = ENV, **options: Any) -> Discovered:
    return asyncio.run(discover("p", Provider.model_validate(provider), env, **options))


def models(*ids: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": one} for one in ids]}


def test_an_openai_list_is_read_with_the_key_that_is_named_for_it() -> None:
    with serving({"/v1/models": models("gpt-4o", "text-embedding-3-small", "o1-pro", "gpt-4o")}) as vendor:
        found = ask({"type": "openai", "base_url": f"{vendor.base}/v1", "api_key_env": "THE_KEY"})
    assert found.outcome == "ok"
    assert found.kept == ("gpt-4o",)
    assert {model.id: model.rule for model in found.models}["text-embedding-3-small"] == "dropped: embedding in name"
    assert vendor.asked[0][1]["authorization"] == f"Bearer {KEY}"


def test_togethers_bare_array_is_a_list() -> None:
    answer = [{"id": "a/chat", "type": "chat"}, {"id": "a/base", "type": "language"}, {"id": "a/pic", "type": "image"}]
    with serving({"/v1/models": answer}) as vendor:
        found = ask({"type": "together_ai", "base_url": f"{vendor.base}/v1", "api_key_env": "THE_KEY"})
    assert [(model.id, model.kept, model.rule) for model in found.models] == [
        ("a/chat", True, "kept: type chat"),
        ("a/base", False, "dropped: type language"),
        ("a/pic", False, "dropped: type image"),
    ]


def test_openrouters_modality_decides_and_its_public_list_needs_no_key() -> None:
    data = [
        {"id": "a/text", "architecture": {"modality": "text+image->text"}},
        {"id": "a/pic", "architecture": {"modality": "text->image", "output_modalities": ["image"]}},
    ]
    with serving({"/api/v1/models": {"data": data}}) as vendor:
        provider = {"type": "openrouter", "base_url": f"{vendor.base}/api/v1", "api_key_env": "NOT_SET"}
        found = ask(provider)
    assert found.kept == ("a/text",)
    assert found.models[0].rule == "kept: output modality text"
    assert "authorization" not in vendor.asked[0][1]


@pytest.mark.parametrize(
    ("kind", "item", "rule"),
    [
        (
            "mistral",
            {"id": "m", "capabilities": {"completion_chat": False}},
            "dropped: capabilities.completion_chat is false",
        ),
        (
            "mistral",
            {"id": "m", "capabilities": {"completion_chat": True}},
            "kept: capabilities.completion_chat is true",
        ),
        ("fireworks_ai", {"id": "m", "supports_chat": False}, "dropped: supports_chat is false"),
        ("groq", {"id": "m", "active": False}, "dropped: active is false"),
        ("groq", {"id": "whisper-large-v3", "active": True}, "dropped: speech in name"),
        ("xai", {"id": "grok-2-image-1212"}, "dropped: image or video in name"),
        ("deepseek", {"id": "deepseek-chat"}, "kept: nothing says it cannot chat"),
        ("lm_studio", {"id": "text-embedding-nomic"}, "dropped: embedding in name"),
        ("openai", {"id": "gpt-realtime"}, "dropped: realtime in name"),
        ("openai", {"id": "davinci-002"}, "dropped: legacy completion in name"),
        ("openai", {"id": "omni-moderation-latest"}, "dropped: moderation in name"),
        ("openai", {"id": "gpt-5-pro-2025"}, "dropped: served by the Responses API only"),
        ("openrouter", {"id": "google/gemini-2.5-pro"}, "kept: nothing says it cannot chat"),
        ("groq", {"id": "meta-llama/llama-guard-4-12b"}, "dropped: moderation in name"),
    ],
)
def test_the_rule_that_decided_is_recorded(kind: str, item: dict[str, Any], rule: str) -> None:
    with serving({"/models": {"data": [item]}}) as vendor:
        found = ask({"type": kind, "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert found.models[0].rule == rule


def test_anthropic_is_paged_to_the_end() -> None:
    pages = {
        "/v1/models?limit=1000": {"data": [{"id": "claude-a"}], "has_more": True, "last_id": "claude-a"},
        "/v1/models?limit=1000&after_id=claude-a": {
            "data": [{"id": "claude-b"}],
            "has_more": False,
            "last_id": "claude-b",
        },
    }
    with serving(pages) as vendor:
        found = ask({"type": "anthropic", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert (found.outcome, found.kept, found.pages) == ("ok", ("claude-a", "claude-b"), 2)
    headers = vendor.asked[1][1]
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers


def test_gemini_is_paged_and_filtered_by_what_it_can_generate() -> None:
    chat = {"name": "models/gemini-2.5-flash", "supportedGenerationMethods": ["generateContent"]}
    embed = {"name": "models/text-bison", "supportedGenerationMethods": ["embedContent"]}
    image = {"name": "models/gemini-2.5-flash-image", "supportedGenerationMethods": ["generateContent"]}
    pages = {
        "/v1beta/models?pageSize=1000": {"models": [chat], "nextPageToken": "t2"},
        "/v1beta/models?pageSize=1000&pageToken=t2": {"models": [embed, image]},
    }
    with serving(pages) as vendor:
        found = ask({"type": "google_ai_studio", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert found.kept == ("gemini-2.5-flash",)
    assert (len(found.models), found.pages) == (3, 2)
    assert vendor.asked[0][1]["x-goog-api-key"] == KEY
    assert KEY not in json.dumps(vendor.paths), "a key in a URL ends in logs"


def test_ollama_needs_no_key_and_drops_bert() -> None:
    tags = {
        "models": [
            {"name": "llama3:8b", "details": {"family": "llama"}},
            {"name": "mini", "details": {"family": "bert"}},
        ]
    }
    with serving({"/api/tags": tags}) as vendor:
        found = ask({"type": "ollama", "base_url": vendor.base})
    assert found.kept == ("llama3:8b",)
    assert "authorization" not in vendor.asked[0][1]


def test_bedrock_is_signed_and_its_profiles_are_listed() -> None:
    def model(name: str, types: list[str], outputs: list[str], *, streams: bool = True) -> dict[str, Any]:
        return {
            "modelId": name,
            "inferenceTypesSupported": types,
            "outputModalities": outputs,
            "responseStreamingSupported": streams,
        }

    listed = [
        model("amazon.nova-lite-v1:0", ["ON_DEMAND"], ["TEXT"]),
        model("anthropic.claude-x", [], ["TEXT"]),
        model("cohere.rerank-v3", ["ON_DEMAND"], ["TEXT"]),
        model("old.one", ["ON_DEMAND"], ["TEXT"], streams=False),
    ]
    profiles = "/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED"
    answers = {
        "/foundation-models": {"modelSummaries": listed},
        profiles: {"inferenceProfileSummaries": [{"inferenceProfileId": "us.anthropic.claude-x"}], "nextToken": "n"},
        f"{profiles}&nextToken=n": {"inferenceProfileSummaries": [{"inferenceProfileId": "eu.unknown.model"}]},
    }
    with serving(answers) as vendor:
        found = ask({"type": "aws_bedrock", "base_url": vendor.base})
        signed = [headers["authorization"] for _, headers in vendor.asked]
    assert found.kept == ("amazon.nova-lite-v1:0", "us.anthropic.claude-x")
    assert found.pages == 3
    assert all(text.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") for text in signed)
    assert all("/eu-west-1/bedrock/aws4_request" in text for text in signed)
    assert KEY not in json.dumps(vendor.asked)


def test_the_signature_is_what_aws_would_compute() -> None:
    """Verify as the server does: recompute from the received request with the secret."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    with serving(
        {"/foundation-models": {"modelSummaries": []}, "/inference-profiles": {"inferenceProfileSummaries": []}}
    ) as vendor:
        assert ask({"type": "aws_bedrock", "base_url": vendor.base}).outcome == "ok"
    for path, headers in vendor.asked:
        auth = SigV4Auth(Credentials("AKIDEXAMPLE", KEY), "bedrock", "eu-west-1")
        request = AWSRequest("GET", f"http://{headers['host']}{path}", headers={"host": headers["host"]})
        request.headers["X-Amz-Date"] = headers["x-amz-date"]
        request.context["timestamp"] = headers["x-amz-date"]
        canonical = auth.canonical_request(request)
        assert headers["authorization"].endswith(auth.signature(auth.string_to_sign(request, canonical), request))


def test_a_bedrock_api_key_replaces_the_signature() -> None:
    with serving(
        {"/foundation-models": {"modelSummaries": []}, "/inference-profiles": {"inferenceProfileSummaries": []}}
    ) as vendor:
        ask({"type": "aws_bedrock", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert vendor.asked[0][1]["authorization"] == f"Bearer {KEY}"


def test_bedrock_without_a_region_says_so() -> None:
    found = ask({"type": "aws_bedrock"}, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    assert found.outcome == "no_key"
    assert "AWS_REGION" in (found.message or "")


def test_azure_judges_the_key_and_says_that_deployments_must_be_named() -> None:
    with serving({"/openai/models": models("gpt-4o")}) as vendor:
        provider = {"type": "azure_openai", "base_url": vendor.base, "api_key_env": "THE_KEY"}
        found = ask(provider)
        vendor.answers["/openai/models"] = (401, {"error": {"code": "401", "message": "Access denied"}})
        refused = ask(provider)
    assert (found.outcome, found.models) == ("not_supported", ())
    assert "deployments" in (found.message or "")
    assert vendor.asked[0][0] == "/openai/models?api-version=2024-10-21"
    assert vendor.asked[0][1]["api-key"] == KEY
    assert refused.outcome == "auth"


def test_vertex_needs_a_token_and_lists_with_one() -> None:
    answer = {
        "publisherModels": [
            {"name": "publishers/google/models/gemini-2.5-pro"},
            {"name": "publishers/google/models/bert"},
        ]
    }
    with serving({"/v1beta1/publishers/google/models": answer}) as vendor:
        without = ask({"type": "google_vertex", "base_url": vendor.base})
        unset = ask({"type": "google_vertex", "base_url": vendor.base, "api_key_env": "NOT_SET"})
        assert vendor.asked == []
        found = ask({"type": "google_vertex", "base_url": vendor.base, "api_key_env": "THE_KEY", "gcp_project": "proj"})
    assert (without.outcome, unset.outcome) == ("not_supported", "no_key")
    assert found.kept == ("gemini-2.5-pro",)
    assert vendor.asked[0][1]["x-goog-user-project"] == "proj"


def test_a_type_without_a_list_says_so() -> None:
    found = ask({"type": "cohere"})
    assert found.outcome == "not_supported"
    assert "providers.p.models" in (found.message or "")


# ── Failures are typed ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        ((401, {"error": {"message": "Incorrect API key provided: sk-abcdefghijkl"}}), "auth", "check the key"),
        ((403, {}), "auth", "403"),
        ((400, {"error": {"message": "API key not valid. Please pass a valid API key."}}), "auth", "API key not valid"),
        ((400, {"error": "bad"}), "malformed", "400"),
        ((402, {}), "rate_limited", "credit"),
        ((404, {}), "not_supported", "base_url"),
        ((405, {}), "not_supported", "base_url"),
        ((429, {}), "rate_limited", "429"),
        ((500, {}), "server_error", "500"),
        ((529, {"error": {"message": "Overloaded"}}), "server_error", "Overloaded"),
        (PlainTextResponse("<html>"), "malformed", "not JSON"),
        ({"models": []}, "malformed", "`data`"),
        ({"data": [{"name": "x"}]}, "malformed", "`id`"),
        ({"data": ["x"]}, "malformed", "`id`"),
        ([1], "malformed", "`id`"),
        ("x", "malformed", "`data`"),
        (Response(b"\x1f\x8bnot gzip", headers={"content-encoding": "gzip"}), "malformed", "decompressed"),
        (Response(b" " * 33_000_000), "malformed", "more than 32 MB"),
    ],
)
def test_each_failure_has_its_outcome_and_none_is_an_empty_list(answer: Any, outcome: str, said: str) -> None:
    with serving({"/models": answer}) as vendor:
        found = ask({"type": "openai", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert found.outcome == outcome, found.message
    assert found.models == ()
    assert said in (found.message or "")
    assert KEY not in (found.message or "")
    assert "sk-abc" not in (found.message or "")


def test_an_empty_list_is_ok_and_says_that_it_is_empty() -> None:
    with serving({"/models": models()}) as vendor:
        found = ask({"type": "openai", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert (found.outcome, found.message) == ("ok", "the list is empty")


def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    found = ask({"type": "ollama", "base_url": f"http://127.0.0.1:{port}"})
    assert found.outcome == "unreachable"
    assert "connection refused" in (found.message or "")


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    found = ask({"type": "ollama", "base_url": "http://no-such-host.invalid"})
    assert found.outcome == "unreachable"


async def _hang(_: Request) -> Response:
    await asyncio.sleep(1)
    return PlainTextResponse("late")


def test_a_list_that_hangs_is_unreachable_within_its_time() -> None:
    with serving({"/models": _hang}) as vendor:
        provider = {"type": "openai", "base_url": vendor.base, "api_key_env": "THE_KEY"}
        assert ask(provider, request_s=0.1).outcome == "unreachable"
        assert ask(provider, provider_s=0.15).outcome == "unreachable"


def test_a_list_that_leads_in_a_circle_ends() -> None:
    page = {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}
    with serving({"/v1/models": page}) as vendor:
        found = ask({"type": "anthropic", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert (found.outcome, found.pages) == ("malformed", 2)
    assert "circle" in (found.message or "")


def test_a_list_without_end_ends() -> None:
    count = iter(range(10_000))

    def page(_: Request) -> Response:
        return PlainTextResponse(json.dumps({"data": [], "has_more": True, "last_id": str(next(count))}))

    with serving({"/v1/models": page}) as vendor:
        found = ask({"type": "anthropic", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert (found.outcome, found.pages) == ("malformed", 200)


# ── A key goes to its own host only ─────────────────────────────────────────────────────────────────────────────


def assert_no_key(vendor: Vendor) -> None:
    assert KEY not in json.dumps(vendor.asked)


@pytest.mark.parametrize("kind", ["openai", "anthropic", "google_ai_studio", "mistral", "groq", "xai", "deepseek"])
def test_a_vendors_usual_key_is_not_sent_to_another_host(kind: str) -> None:
    from pipelines.fleet.providers import PROVIDER_TYPES

    env = {str(PROVIDER_TYPES[kind].key_env): KEY}
    with serving({"/models": (401, {}), "/v1/models": (401, {}), "/v1beta/models": (401, {})}) as another:
        found = ask({"type": kind, "base_url": another.base}, env)
    assert found.outcome == "auth"
    assert "api_key_env" in (found.message or "")
    assert len(another.asked) == 1
    assert_no_key(another)


def test_a_key_of_another_vendor_is_refused_before_anything_is_sent() -> None:
    found = ask({"type": "groq", "api_key_env": "OPENAI_API_KEY"})
    assert found.outcome == "no_key"
    assert "key of openai" in (found.message or "")


def test_a_redirect_to_another_vendor_is_not_followed() -> None:
    with serving({"/models": models("x")}) as another:
        redirect = RedirectResponse(f"{another.base}/models")
        with serving({"/models": redirect}) as vendor:
            found = ask({"type": "openai", "base_url": vendor.base, "api_key_env": "THE_KEY"})
    assert found.outcome == "malformed"
    assert "redirects" in (found.message or "")
    assert another.asked == []


@pytest.mark.parametrize("path", ["http://{}/models", "//{}/models", "http:/\\{}/models"])
def test_a_session_never_leaves_its_origin(path: str) -> None:
    async def leave(vendor: Vendor, another: Vendor) -> None:
        async with open_client(Tls(), vendor.base, 5) as client:
            session = Session(client, vendor.base, {"authorization": KEY}, {"x-secret": KEY})
            with pytest.raises(DiscoveryError):
                await session.get(path.format(another.base.removeprefix("http://")))

    with serving() as vendor, serving() as another:
        asyncio.run(leave(vendor, another))
        assert another.asked == []


def test_headers_from_variables_are_sent_and_a_missing_one_is_told() -> None:
    with serving({"/models": models("x")}) as vendor:
        provider = {
            "type": "custom_openai_compatible",
            "base_url": vendor.base,
            "headers": {"x-team": "a"},
            "headers_env": {"Authorization": "THE_KEY"},
        }
        assert ask(provider).outcome == "ok"
        assert (vendor.asked[0][1]["authorization"], vendor.asked[0][1]["x-team"]) == (KEY, "a")
        found = ask(provider, {})
    assert found.outcome == "no_key"
    assert "THE_KEY" in (found.message or "")
    assert len(vendor.asked) == 1


def test_a_missing_key_is_named_and_nothing_is_sent() -> None:
    with serving() as vendor:
        found = ask({"type": "openai", "base_url": vendor.base, "api_key_env": "NOT_SET"})
    assert (found.outcome, vendor.asked) == ("no_key", [])
    assert "export NOT_SET" in (found.message or "")


def test_a_key_with_a_line_break_is_told_not_raised() -> None:
    with serving({"/models": models("x")}) as vendor:
        found = ask({"type": "openai", "base_url": vendor.base, "api_key_env": "K"}, {"K": "a\nb"})
    assert found.outcome == "no_key"


def test_the_whole_fleet_is_asked_at_once_and_one_failure_is_only_its_own() -> None:
    with serving({"/v1/models": models("a"), "/bad/models": (500, {})}) as vendor:
        text = (
            "providers:\n"
            f"  good: {{type: lm_studio, base_url: '{vendor.base}/v1'}}\n"
            f"  bad: {{type: lm_studio, base_url: '{vendor.base}/bad'}}\n"
            f"  off: {{type: lm_studio, base_url: '{vendor.base}/v1', enabled: false}}\n"
            f"  fixed: {{type: lm_studio, base_url: '{vendor.base}/v1', models: [m]}}\n"
        )
        fleet = load_text(text).fleet
        found = asyncio.run(discover_all(fleet, {}))
        one = asyncio.run(discover_all(fleet, {}, only=frozenset({"fixed"})))
    assert {name: answer.outcome for name, answer in found.items()} == {"good": "ok", "bad": "server_error"}
    assert list(one) == ["fixed"]
