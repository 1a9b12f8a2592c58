"""Which secrets an endpoint's request needs, by environment-variable name, and the hosts that may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pipelines.fleet.models import Endpoint
from pipelines.fleet.providers import PROVIDER_TYPES

CompileReason = Literal[
    "missing_key", "missing_setting", "bad_value", "unknown_provider", "unsupported", "foreign_host", "foreign_key"
]

AWS_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
AWS_ID, AWS_SECRET, AWS_SESSION = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
GOOGLE_TOKEN = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105  the name of a variable, not a secret


class CompileError(Exception):
    """An endpoint's request cannot be made; ``remedy`` says what to do about it."""

    def __init__(self, reason: CompileReason, remedy: str) -> None:
        super().__init__(remedy)
        self.reason: CompileReason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Credentials:
    """The secrets of one endpoint by variable name, and where its key goes."""

    secrets: Mapping[str, str]
    key_name: str | None
    """The variable that holds the API key or token; None where none is sent."""
    region: str | None = None

    @property
    def is_signed(self) -> bool:
        """The request carries an AWS signature, which holds for minutes only."""
        return AWS_SECRET in self.secrets


def credentials_for(endpoint: Endpoint, env: Mapping[str, str]) -> Credentials:
    """Return what an endpoint needs from the environment. Raises CompileError naming what is missing."""
    secrets = {name: _value(env, name, f"headers_env of {endpoint.provider}") for name in endpoint.headers_env.values()}
    region, key_name = endpoint.region, endpoint.api_key_env
    if endpoint.litellm_provider == "bedrock":
        region = region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
        if not region:
            raise CompileError("missing_setting", f"set providers.{endpoint.provider}.region, such as eu-central-1")
        key_name = key_name or (AWS_BEARER if env.get(AWS_BEARER) else None)
        if key_name is None:
            why = f"{endpoint.endpoint_id} signs its requests; {AWS_BEARER} would do as well"
            secrets |= {name: _value(env, name, why) for name in (AWS_ID, AWS_SECRET)}
            if env.get(AWS_SESSION):
                secrets[AWS_SESSION] = _value(env, AWS_SESSION, why)
    elif endpoint.litellm_provider.startswith("vertex_ai"):
        key_name = key_name or GOOGLE_TOKEN
        if not endpoint.gcp_project:
            raise CompileError("missing_setting", f"set providers.{endpoint.provider}.gcp_project to the project's id")
        region = region or "global"
        if not env.get(key_name):
            raise CompileError(
                "missing_key",
                f"set {key_name} to an OAuth access token (`gcloud auth print-access-token`; it lasts an hour) "
                f"for {endpoint.endpoint_id}",
            )
    elif endpoint.litellm_provider == "azure" and not endpoint.base_url:
        raise CompileError(
            "missing_setting", f"set providers.{endpoint.provider}.base_url to https://NAME.openai.azure.com"
        )
    elif endpoint.provider_type == "custom_openai_compatible" and not endpoint.base_url:
        raise CompileError(
            "missing_setting",
            f"set providers.{endpoint.provider}.base_url: without it the key would go to api.openai.com",
        )
    if key_name is not None:
        secrets[key_name] = _value(env, key_name, f"the API key of {endpoint.provider}")
    return Credentials(secrets, key_name, region)


def _value(env: Mapping[str, str], name: str, why: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise CompileError("missing_key", f"set the environment variable {name} ({why})")
    if not value.isascii() or not value.isprintable():
        raise CompileError("bad_value", f"{name} holds characters that no HTTP header may hold; set it again")
    return value


def check_host(endpoint: Endpoint, url: str, region: str | None) -> None:
    """Raise CompileError when a compiled request goes anywhere but to its endpoint's own host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if endpoint.base_url is not None:
        own = urlsplit(endpoint.base_url)
        is_own = (own.scheme, own.hostname, own.port) == (parts.scheme, parts.hostname, parts.port)
    elif endpoint.litellm_provider == "bedrock":
        is_own = host.startswith("bedrock-runtime") and host.endswith((f"{region}.amazonaws.com", "amazonaws.com.cn"))
    elif endpoint.litellm_provider.startswith("vertex_ai"):
        is_own = host == "aiplatform.googleapis.com" or host.endswith("-aiplatform.googleapis.com")
    else:
        hosts = {urlsplit(row.base_url).hostname: row.litellm for row in PROVIDER_TYPES.values() if row.base_url}
        is_own = parts.scheme == "https" and hosts.get(host, endpoint.litellm_provider) == endpoint.litellm_provider
    if not is_own:
        raise CompileError(
            "foreign_host",
            f"LiteLLM would send {endpoint.endpoint_id} to {host}; set providers.{endpoint.provider}.base_url",
        )
