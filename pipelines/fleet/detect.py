"""Zero configuration: which providers' keys are in the environment, and which local servers answer.

No key is sent anywhere while looking. A server is named by what it answers, not by the port it sits on.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from pipelines.fleet.resolve import origin

USUAL_PORTS = (11434, 1234, 8000, 8080, 4000)
"""Ollama, LM Studio, vLLM, llama.cpp, LiteLLM proxy."""
CONNECT_S = 0.3
ANSWER_S = 2.0
MAX_BYTES = 2_000_000

ServerKind = Literal["ollama", "lm_studio", "vllm", "llama_cpp", "litellm_proxy", "openai_compatible"]
_TITLES: dict[ServerKind, str] = {
    "ollama": "Ollama",
    "lm_studio": "LM Studio",
    "vllm": "vLLM",
    "llama_cpp": "llama.cpp",
    "litellm_proxy": "LiteLLM proxy",
    "openai_compatible": "an OpenAI-compatible server",
}

# Sources: each vendor's SDK, and LiteLLM's provider list. The first name is the documented one.
_KEYS: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google_ai_studio": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "fireworks_ai": ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
}
_BASES = {"openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"), "anthropic": ("ANTHROPIC_BASE_URL",)}
_PROXY_KEYS = ("LITELLM_PROXY_API_KEY", "LITELLM_MASTER_KEY", "LITELLM_API_KEY")


@dataclass(frozen=True)
class DetectedProvider:
    """An account whose credentials are in the environment, by the names of their variables."""

    type: str
    variables: tuple[str, ...]
    """Names of the variables that were found."""
    api_key_env: str | None = None
    base_url: str | None = None
    region: str | None = None
    gcp_project: str | None = None
    api_version: str | None = None
    missing: tuple[str, ...] = ()
    """What else the provider needs before it can be watched, each as one thing to do."""

    @property
    def is_complete(self) -> bool:
        """Whether it can be watched as it is."""
        return not self.missing


@dataclass(frozen=True)
class DetectedServer:
    """A local server that answered."""

    kind: ServerKind
    base_url: str
    models: tuple[str, ...] = ()
    version: str | None = None
    api_key_env: str | None = None
    needs_key: bool = False
    """It refused to list its models without a key."""


@dataclass(frozen=True)
class Detected:
    """What this machine has to watch."""

    providers: tuple[DetectedProvider, ...] = ()
    servers: tuple[DetectedServer, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that could be probed."""
        return not self.servers and not any(provider.is_complete for provider in self.providers)

    def lines(self) -> list[str]:
        """Return what was found, one line each, for a person."""
        said = [
            f"{provider.type}: {', '.join(provider.variables)}"
            + (f", but {'; '.join(provider.missing)}" if provider.missing else "")
            for provider in self.providers
        ]
        for server in self.servers:
            version = f" {server.version}" if server.version else ""
            models = "it wants a key" if server.needs_key else f"{len(server.models)} models"
            said.append(f"{_TITLES[server.kind]}{version} at {server.base_url}: {models}")
        return said


def detect_now(env: Mapping[str, str], *, ports: Iterable[int] = USUAL_PORTS) -> Detected:
    """Return what is found; see :func:`detect`. For callers without an event loop."""
    return asyncio.run(detect(env, ports=ports))


async def detect(
    env: Mapping[str, str],
    *,
    ports: Iterable[int] = USUAL_PORTS,
    host: str = "127.0.0.1",
    client: httpx.AsyncClient | None = None,
) -> Detected:
    """Look at the environment's names and at the local ports; takes at most some three seconds.

    Args:
        env: The environment.
        ports: Ports to ask; ``OLLAMA_HOST`` is asked besides.
        host: Where the ports are.
        client: For tests and callers with their own transport.
    """
    bases = [f"http://{host}:{port}" for port in ports]
    if (ollama := _ollama_host(env)) and origin(ollama) not in {origin(base) for base in bases}:
        bases.append(ollama)
    if client is not None:
        found = await asyncio.gather(*(_identify(client, base, env) for base in bases))
    else:
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        # No proxy from the environment: these are this machine's own ports.
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as own:
            found = await asyncio.gather(*(_identify(own, base, env) for base in bases))
    return Detected(providers_in(env), tuple(server for server in found if server is not None))


def providers_in(env: Mapping[str, str]) -> tuple[DetectedProvider, ...]:
    """Return the accounts whose variables are set; pure."""
    found: list[DetectedProvider] = []
    for kind, names in _KEYS.items():
        key = _first(env, names)
        if key is None:
            continue
        base = _first(env, _BASES.get(kind, ()))
        variables = (key,) if base is None else (key, base)
        found.append(DetectedProvider(kind, variables, key, base_url=env[base] if base else None))
    return (*found, *_azure(env), *_bedrock(env), *_vertex(env))


def _azure(env: Mapping[str, str]) -> list[DetectedProvider]:
    key = _first(env, ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"))
    base = _first(env, ("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"))
    version = _first(env, ("AZURE_API_VERSION", "OPENAI_API_VERSION"))
    if key is None and base is None:
        return []
    missing = [
        *(["set AZURE_API_KEY to the resource's key"] if key is None else []),
        *(["set AZURE_API_BASE to https://NAME.openai.azure.com"] if base is None else []),
        "name your deployments under `models:` (Azure lists base models, not deployments)",
    ]
    variables = tuple(name for name in (key, base, version) if name)
    return [
        DetectedProvider(
            "azure_openai",
            variables,
            key,
            base_url=env[base] if base else None,
            api_version=env[version] if version else None,
            missing=tuple(missing),
        )
    ]


def _bedrock(env: Mapping[str, str]) -> list[DetectedProvider]:
    variables = tuple(
        name
        for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")
        if env.get(name)
    )
    if not variables:
        return []
    region = _first(env, ("AWS_REGION", "AWS_DEFAULT_REGION"))
    missing = []
    if variables == ("AWS_ACCESS_KEY_ID",):
        missing.append("set AWS_SECRET_ACCESS_KEY too")
    if variables == ("AWS_SECRET_ACCESS_KEY",):
        missing.append("set AWS_ACCESS_KEY_ID too")
    if region is None:
        missing.append("set AWS_REGION (such as us-east-1)")
    return [DetectedProvider("aws_bedrock", variables, region=env[region] if region else None, missing=tuple(missing))]


def _vertex(env: Mapping[str, str]) -> list[DetectedProvider]:
    credentials = _first(env, ("GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_CREDENTIALS"))
    project = _first(env, ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"))
    region = _first(env, ("VERTEXAI_LOCATION", "VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"))
    # A project's name alone says nothing of Vertex: every Google tool sets it.
    if credentials is None and _first(env, ("VERTEXAI_PROJECT",)) is None:
        return []
    missing = [
        *(["set GOOGLE_APPLICATION_CREDENTIALS to a service account's file"] if credentials is None else []),
        *(["set VERTEXAI_PROJECT"] if project is None else []),
        *(["set VERTEXAI_LOCATION (such as us-central1)"] if region is None else []),
        "name the models under `models:` (Vertex lists them to an OAuth token only)",
    ]
    return [
        DetectedProvider(
            "google_vertex",
            tuple(name for name in (credentials, project, region) if name),
            region=env[region] if region else None,
            gcp_project=env[project] if project else None,
            missing=tuple(missing),
        )
    ]


def _first(env: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((name for name in names if env.get(name)), None)


def _ollama_host(env: Mapping[str, str]) -> str | None:
    """Return the server that the ``ollama`` command itself would talk to, when it was told one."""
    told = env.get("OLLAMA_HOST", "").strip().rstrip("/")
    if not told:
        return None
    url = told if "://" in told else f"http://{told}"
    try:
        parts = httpx.URL(url)
        port = parts.port or (11434 if "://" not in told else None)
        local = "127.0.0.1" if parts.host in ("0.0.0.0", "") else parts.host  # noqa: S104  read, not bound
        return str(parts.copy_with(host=local, port=port)).rstrip("/")
    except (httpx.InvalidURL, ValueError):
        return None


async def _identify(client: httpx.AsyncClient, base: str, env: Mapping[str, str]) -> DetectedServer | None:
    """Ask the questions that only one kind of server answers in its own way; the most particular first."""
    status, listed = await _ask(client, f"{base}/v1/models")
    if status is None:
        return None
    _, tags = await _ask(client, f"{base}/api/tags")
    if isinstance(tags, dict) and isinstance(tags.get("models"), list):
        _, version = await _ask(client, f"{base}/api/version")
        names = tuple(str(model["name"]) for model in tags["models"] if isinstance(model, dict) and "name" in model)
        return DetectedServer("ollama", base, names, _field(version, "version"))
    models = _ids(listed)
    _, alive = await _ask(client, f"{base}/health/liveliness")
    if isinstance(alive, str) and "alive" in alive.lower():
        refused = status in (401, 403)
        key = _first(env, _PROXY_KEYS) if refused else None
        return DetectedServer("litellm_proxy", f"{base}/v1", models, api_key_env=key, needs_key=refused)
    _, native = await _ask(client, f"{base}/api/v0/models")
    if isinstance(native, dict) and any("publisher" in item or "arch" in item for item in _items(native)):
        return DetectedServer("lm_studio", f"{base}/v1", models)
    owners = {item.get("owned_by") for item in _items(listed)}
    _, props = await _ask(client, f"{base}/props")
    if "llamacpp" in owners or (isinstance(props, dict) and "default_generation_settings" in props):
        return DetectedServer("llama_cpp", f"{base}/v1", models, _field(props, "build_info"))
    _, version = await _ask(client, f"{base}/version")
    if "vllm" in owners:
        return DetectedServer("vllm", f"{base}/v1", models, _field(version, "version"))
    if models and isinstance(listed, dict) and listed.get("object") == "list":
        return DetectedServer("openai_compatible", f"{base}/v1", models)
    return None


async def _ask(client: httpx.AsyncClient, url: str) -> tuple[int | None, Any]:
    """Return status and JSON of a GET; the status is None when nobody speaks HTTP there."""
    try:
        async with asyncio.timeout(ANSWER_S), client.stream("GET", url, follow_redirects=False) as response:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    return response.status_code, None
            return response.status_code, json.loads(body) if response.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return None, None
    except (ValueError, RecursionError):
        return 200, None


def _items(listed: Any) -> list[dict[str, Any]]:
    data = listed.get("data") if isinstance(listed, dict) else None
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def _ids(listed: Any) -> tuple[str, ...]:
    return tuple(str(item["id"]) for item in _items(listed) if "id" in item)


def _field(answer: Any, name: str) -> str | None:
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, str) else None
