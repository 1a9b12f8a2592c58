"""A compiled request with holes: what LiteLLM makes of an endpoint, kept so that the next process need not import it.

The holes are the prompt, the token budget and the secrets; no secret is ever in a template. A sweep runs every minute
in a new process, and LiteLLM's import costs 3–5 s and 170 MB.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final, Literal

from pipelines.fleet.models import Endpoint
from pipelines.fleet.providers import Dialect
from pipelines.wire.tape import WireRequest

TEMPLATE_VERSION: Final = 1
PROMPT_HOLE: Final = "arguslab-prompt-\u00e9-5d0c"
"""The accent shows how a body spells what is not ASCII."""
BUDGET_HOLE: Final = 7_919_113

Escape = Literal["ascii", "utf8"]


def secret_hole(name: str) -> str:
    """Return what stands for the value of an environment variable."""
    return f"arguslab-secret-{name}-"


@dataclass(frozen=True)
class Template:
    """A request with holes. ``signing`` names what must be computed afresh for every request."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    dialect: Dialect
    escape: Escape
    signing: Literal["none", "sigv4"] = "none"

    def to_json(self) -> str:
        """Return the template as JSON text."""
        return json.dumps(asdict(self) | {"version": TEMPLATE_VERSION})

    @classmethod
    def from_json(cls, text: str) -> "Template":
        """Return the template that :meth:`to_json` wrote. Raises ValueError or KeyError when it is none."""
        data: Any = json.loads(text)
        if not isinstance(data, dict) or data.pop("version") != TEMPLATE_VERSION:
            raise ValueError("written by another version")
        data["headers"] = tuple((name, value) for name, value in data["headers"])
        return cls(**data)

    def fill(self, prompt: str, max_tokens: int, secrets: Mapping[str, str]) -> WireRequest:
        """Return the request, its holes filled; ``secrets`` maps variable names to values. Not signed."""
        spelled = json.dumps(prompt, ensure_ascii=self.escape == "ascii")[1:-1]
        body = self.body
        for name, value in secrets.items():
            body = body.replace(secret_hole(name), json.dumps(value, ensure_ascii=self.escape == "ascii")[1:-1])
        # The prompt goes last, so that its text is never taken for a hole.
        body = body.replace(str(BUDGET_HOLE), str(max_tokens)).replace(_prompt_hole(self.escape), spelled)
        return WireRequest(
            method=self.method,
            url=_put(self.url, secrets),
            headers=tuple((name, _put(value, secrets)) for name, value in self.headers),
            body=body.encode(),
            dialect=self.dialect,
            max_tokens=max_tokens,
            secrets=tuple(dict.fromkeys(secrets.values())),
        )


def template_of(request: WireRequest, *, is_signed: bool) -> Template | None:
    """Return the template in a request that was compiled with every hole in place; None where one is missing."""
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        return None
    escapes: tuple[Escape, ...] = ("ascii", "utf8")
    escape = next((escape for escape in escapes if _prompt_hole(escape) in body), None)
    if escape is None or str(BUDGET_HOLE) not in body:
        return None
    return Template(
        method=request.method,
        url=request.url,
        headers=request.headers,
        body=body,
        dialect=request.dialect,
        escape=escape,
        signing="sigv4" if is_signed else "none",
    )


def _prompt_hole(escape: Escape) -> str:
    return json.dumps(PROMPT_HOLE, ensure_ascii=escape == "ascii")[1:-1]


def _put(text: str, secrets: Mapping[str, str]) -> str:
    for name, value in secrets.items():
        text = text.replace(secret_hole(name), value)
    return text


@lru_cache(maxsize=1)
def _litellm_version() -> str:
    return version("litellm")


_SETTINGS: Final = (
    "provider_type",
    "litellm_provider",
    "model",
    "dialect",
    "base_url",
    "api_key_env",
    "region",
    "gcp_project",
    "api_version",
    "headers",
    "headers_env",
    "token_limit",
    "params",
)


def template_key(endpoint: Endpoint, secret_names: tuple[str, ...], region: str | None) -> str:
    """Return the identity of an endpoint's template: its settings, which secrets exist, and who compiled it."""
    settings = {name: getattr(endpoint, name) for name in _SETTINGS}
    identity = [TEMPLATE_VERSION, _litellm_version(), settings, sorted(secret_names), region]
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
