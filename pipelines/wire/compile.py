"""Compile: an endpoint and a probe into the provider's own HTTP request; nothing is sent.

LiteLLM knows how each provider is asked; it is imported only when no template of the endpoint is at hand.
A template is kept only after it has been shown to give the very bytes that a fresh compilation gives.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from pipelines.fleet.models import Endpoint
from pipelines.wire.capture import Sent, capture
from pipelines.wire.credentials import (
    AWS_ID,
    AWS_SECRET,
    AWS_SESSION,
    CompileError,
    Credentials,
    check_host,
    credentials_for,
)
from pipelines.wire.prompt import Probe
from pipelines.wire.tape import WireRequest
from pipelines.wire.template import (
    BUDGET_HOLE,
    PROMPT_HOLE,
    Template,
    secret_hole,
    template_key,
    template_of,
)

__all__ = ["CompileError", "compile_many", "compile_request", "live_arguments"]

_NO_KEY: Final = "arguslab-no-key"
_CLIENTS_OWN: Final = frozenset(
    {"host", "connection", "content-length", "accept-encoding", "user-agent", "http-referer", "x-title"}
)
"""Set by the client that sends, or LiteLLM's advertising; ``x-stainless-*`` tells of this machine and goes too."""
_SIGNATURE: Final = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_USER_AGENT: Final = "arguslab-probe"
_USAGE_ON_REQUEST: Final = frozenset({"openai", "litellm"})


def compile_request(
    endpoint: Endpoint,
    probe: Probe,
    max_tokens: int,
    env: Mapping[str, str],
    *,
    templates: MutableMapping[str, str] | None = None,
    now: datetime | None = None,
) -> WireRequest:
    """Return the streaming request that asks an endpoint a probe; no network, no retry, ``identity`` encoding.

    ``templates`` is the caller's store: texts by key, free of secrets, good for any process. ``now`` dates a signature.
    Raises CompileError with the reason and the remedy. Must not be called from a running event loop.
    """
    credentials = credentials_for(endpoint, env)
    store: MutableMapping[str, str] = {} if templates is None else templates
    key = template_key(endpoint, tuple(credentials.secrets), credentials.region)
    kept = _load(store.get(key))
    if kept is not None:
        return _instance(kept, endpoint, (probe.prompt, max_tokens), credentials, now)
    fresh = _fresh(endpoint, probe.prompt, max_tokens, credentials, credentials.secrets)
    check_host(endpoint, fresh.url, credentials.region)
    _check_keys(endpoint, fresh, env)
    holes = {name: secret_hole(name) for name in credentials.secrets}
    template = template_of(
        _fresh(endpoint, PROMPT_HOLE, BUDGET_HOLE, credentials, holes), is_signed=credentials.is_signed
    )
    if template is None or template.fill(probe.prompt, max_tokens, credentials.secrets) != fresh:
        if credentials.is_signed:
            raise CompileError("unsupported", f"the signed request of {endpoint.endpoint_id} cannot be signed afresh")
        return fresh
    store[key] = template.to_json()
    return _instance(template, endpoint, (probe.prompt, max_tokens), credentials, now)


def compile_many(
    jobs: Iterable[tuple[Endpoint, Probe, int]],
    env: Mapping[str, str],
    *,
    templates: MutableMapping[str, str] | None = None,
) -> list[WireRequest | CompileError]:
    """Return each job's request in order, or the error that says why it has none."""
    compiled: list[WireRequest | CompileError] = []
    for endpoint, probe, max_tokens in jobs:
        try:
            compiled.append(compile_request(endpoint, probe, max_tokens, env, templates=templates))
        except CompileError as error:
            compiled.append(error)
    return compiled


def live_arguments(
    endpoint: Endpoint, probe: Probe, max_tokens: int, env: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments of ``litellm.acompletion`` for an endpoint that cannot be compiled, and its secrets."""
    credentials = credentials_for(endpoint, env)
    secrets = credentials.secrets
    arguments = _arguments(endpoint, probe.prompt, max_tokens, credentials, secrets)
    own = endpoint.headers | {name: secrets[variable] for name, variable in endpoint.headers_env.items()}
    return arguments | ({"extra_headers": own} if own else {}), tuple(dict.fromkeys(secrets.values()))


def _load(text: str | None) -> Template | None:
    if text is None:
        return None
    try:
        return Template.from_json(text)
    except (ValueError, KeyError, TypeError):
        return None  # torn or foreign: compiled again and overwritten


def _instance(
    template: Template, endpoint: Endpoint, filled: tuple[str, int], credentials: Credentials, now: datetime | None
) -> WireRequest:
    request = template.fill(*filled, credentials.secrets)
    check_host(endpoint, request.url, credentials.region)
    return _signed(request, credentials, now or datetime.now(UTC)) if template.signing == "sigv4" else request


def _fresh(
    endpoint: Endpoint, prompt: str, max_tokens: int, credentials: Credentials, secrets: Mapping[str, str]
) -> WireRequest:
    """Compile through LiteLLM; ``secrets`` are the values or the holes. A signature is taken off again."""
    arguments = _arguments(endpoint, prompt, max_tokens, credentials, secrets)
    is_vertex = endpoint.litellm_provider.startswith("vertex_ai") and credentials.key_name is not None
    google_token = secrets[credentials.key_name or ""] if is_vertex else None
    sent = capture(endpoint.litellm_provider, arguments, google_token)
    headers = _headers(endpoint, sent, credentials, secrets)
    return WireRequest(
        method=sent[0],
        url=sent[1],
        headers=headers,
        body=_with_token_limit(endpoint, sent[3]),
        dialect=endpoint.dialect,
        max_tokens=max_tokens,
        secrets=tuple(dict.fromkeys(secrets.values())),
    )


def _arguments(
    endpoint: Endpoint,
    prompt: str,
    max_tokens: int,
    credentials: Credentials,
    secrets: Mapping[str, str],
) -> dict[str, Any]:
    provider = endpoint.litellm_provider
    key = secrets[credentials.key_name] if credentials.key_name is not None else None
    arguments: dict[str, Any] = {
        "model": f"{provider}/{endpoint.model}",
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        endpoint.token_limit: max_tokens,
        "max_retries": 0,
        "num_retries": 0,
        "no-log": True,
    } | endpoint.params
    if endpoint.dialect in _USAGE_ON_REQUEST:
        arguments["stream_options"] = {"include_usage": True} | dict(endpoint.params.get("stream_options", {}))
    if endpoint.base_url is not None:
        base = "aws_bedrock_runtime_endpoint" if provider == "bedrock" else "api_base"
        arguments[base] = _base(provider, endpoint.base_url)
    if provider.startswith("vertex_ai"):
        arguments |= {"vertex_project": endpoint.gcp_project, "vertex_location": credentials.region}
    elif provider == "bedrock":
        arguments["aws_region_name"] = credentials.region
        if credentials.is_signed:
            arguments |= {"aws_access_key_id": secrets[AWS_ID], "aws_secret_access_key": secrets[AWS_SECRET]}
            if AWS_SESSION in secrets:
                arguments["aws_session_token"] = secrets[AWS_SESSION]
        else:
            arguments["api_key"] = key
    else:
        arguments["api_key"] = key or _NO_KEY
    if provider == "azure":
        arguments["api_version"] = endpoint.api_version or "2024-10-21"
    return arguments


def _base(provider: str, url: str) -> str:
    """Return a base URL as LiteLLM's provider code expects it."""
    url = url.rstrip("/")
    if provider == "anthropic":
        return url.removesuffix("/v1")
    if provider == "gemini" and not re.search(r"/v\d\w*$", urlsplit(url).path):
        return f"{url}/v1beta"
    return url


def _headers(
    endpoint: Endpoint, sent: Sent, credentials: Credentials, secrets: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    own = {name.lower(): value for name, value in endpoint.headers.items()}
    own |= {name.lower(): secrets[variable] for name, variable in endpoint.headers_env.items()}
    dropped = _CLIENTS_OWN | own.keys() | (_SIGNATURE if credentials.is_signed else frozenset())
    kept = [
        (name.lower(), value)
        for name, value in sent[2]
        if name.lower() not in dropped
        and not name.lower().startswith("x-stainless-")
        and _NO_KEY not in value
        # Some of LiteLLM's providers put a stand-in of their own where there is no key.
        and not (name.lower() == "authorization" and credentials.key_name is None)
    ]
    fixed = {"accept-encoding": "identity", "user-agent": _USER_AGENT}
    if not any(name == "content-type" for name, _ in kept):
        fixed["content-type"] = "application/json"  # LiteLLM leaves it out for Ollama
    return (*kept, *(fixed | own).items())


def _with_token_limit(endpoint: Endpoint, body: bytes) -> bytes:
    """Spell the token limit as the endpoint wants it: some servers ignore the other name and run to their limit."""
    if endpoint.dialect != "openai":
        return body
    names = {"max_tokens": b'"max_tokens":', "max_completion_tokens": b'"max_completion_tokens":'}
    wanted = names.pop(endpoint.token_limit)
    (other,) = names.values()
    return body.replace(other, wanted, 1) if wanted not in body else body


def _check_keys(endpoint: Endpoint, request: WireRequest, env: Mapping[str, str]) -> None:
    """Refuse a request that carries a secret of the environment that is not this endpoint's own."""
    text = request.url + json.dumps(request.headers) + request.body.decode(errors="replace")
    for name, value in {**os.environ, **env}.items():
        if len(value) >= 8 and _SECRET_NAME.search(name) and value.strip() not in request.secrets and value in text:
            raise CompileError(
                "foreign_key",
                f"the request of {endpoint.endpoint_id} would carry {name}, which is not its own; "
                f"set providers.{endpoint.provider}.api_key_env",
            )


def _signed(request: WireRequest, credentials: Credentials, now: datetime) -> WireRequest:
    """Return a Bedrock request with AWS Signature Version 4 for a moment."""
    # 60 ms: only where a request is signed.
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials as AwsCredentials  # noqa: PLC0415

    secrets = credentials.secrets
    signer = SigV4Auth(
        AwsCredentials(secrets[AWS_ID], secrets[AWS_SECRET], secrets.get(AWS_SESSION)), "bedrock", credentials.region
    )
    message = AWSRequest(request.method, request.url, headers={"Content-Type": "application/json"}, data=request.body)
    message.context["timestamp"] = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    # The steps of SigV4Auth.add_auth, without its own clock.
    signer._modify_request_before_signing(message)
    signature = signer.signature(signer.string_to_sign(message, signer.canonical_request(message)), message)
    signer._inject_signature_to_request(message, signature)
    added = tuple((name.lower(), value) for name, value in message.headers.items() if name.lower() in _SIGNATURE)
    return replace(request, headers=(*request.headers, *added))
