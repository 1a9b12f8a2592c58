"""The first fleet.yaml: what was found, commented, with the next things to try ready to be uncommented."""

from collections.abc import Iterable

from pipelines.fleet.detect import Detected, DetectedProvider, DetectedServer, ServerKind
from pipelines.fleet.json_schema import modeline
from pipelines.fleet.providers import PROVIDER_TYPES

SCHEMA_REFERENCE = ".arguslab/fleet.schema.json"
_LARGE = {"openrouter", "together_ai", "fireworks_ai", "aws_bedrock"}
"""Catalogs of hundreds of models: hourly, so that probing them all stays cheap."""
_SERVERS: dict[ServerKind, tuple[str, str]] = {
    "ollama": ("ollama", "ollama"),
    "lm_studio": ("lm_studio", "lm_studio"),
    "vllm": ("vllm", "custom_openai_compatible"),
    "llama_cpp": ("llama_cpp", "custom_openai_compatible"),
    "litellm_proxy": ("litellm_proxy", "custom_openai_compatible"),
    "openai_compatible": ("local", "custom_openai_compatible"),
}

_HEAD = """\
# What ArgusLab watches. Edits take effect at the next tick; `arguslab check` says what is wrong with them.
# Secrets stay in the environment: this file holds the NAMES of variables, never a value.

version: 1
location: {location}       # where the probes are sent from; stands on every row
interval: 5m            # how often each endpoint is probed (at least 1m)
"""

_EXAMPLE_PROVIDERS = """\
  # openai:
  #   type: openai
  #   api_key_env: OPENAI_API_KEY
  #   models:
  #     include: ["gpt-*"]
  #     exclude: ["*-preview"]
  # my-server:
  #   type: custom_openai_compatible
  #   base_url: http://127.0.0.1:8000/v1
  #   models: [my-model]
"""

_TAIL = """
# ── What endpoints are held to ──────────────────────────────────────────────────────────────────────────────────
# Without a line here: 99% available over 30 days, down after 3 failures in a row.
# promises:
#   availability: 99.5%
#   window: 30d
#   ttft_p95: 2s             # time to first token
#   tps_p50: 20              # tokens per second, median

# ── What probing may cost ───────────────────────────────────────────────────────────────────────────────────────
# At the cap probing stops and says so. Unless set: $1/day per project.
projects:
  default:
    probe_budget: $1/day
    # owner: platform-team

# ── Overrides, by provider/model pattern; later ones win ────────────────────────────────────────────────────────
# endpoints:
#   "*/gpt-4*":
#     interval: 15m
#     promises: {ttft_p95: 4s}
#   "openrouter/*:free":
#     enabled: false

# ── Who is told ─────────────────────────────────────────────────────────────────────────────────────────────────
channels:
  console:
    type: console
  # slack:
  #   type: slack
  #   webhook_url_env: SLACK_WEBHOOK_URL      # then try: arguslab alerts test slack
  # pager:
  #   type: apprise
  #   url_env: PAGERDUTY_APPRISE_URL
# routes:                                       # without routes every channel hears everything
#   - channels: [slack]
#     severities: [critical, major]

# ── Planned work: probed, but nobody is woken ───────────────────────────────────────────────────────────────────
# maintenance:
#   - name: nightly restart
#     endpoints: ["my-server/*"]
#     days: [sat, sun]
#     from: 22:00
#     for: 2h
#     timezone: Europe/Berlin
"""


def fleet_yaml(detected: Detected, *, schema_reference: str = SCHEMA_REFERENCE, location: str = "default") -> str:
    """Return the text of a valid, commented fleet.yaml for what was found; holds names of variables only."""
    text = f"{modeline(schema_reference)}\n{_HEAD.format(location=location)}\nproviders:\n"
    names: set[str] = set()
    blocks = [_account(provider, names) for provider in detected.providers if provider.is_complete]
    blocks += [_server(server, names) for server in detected.servers]
    blocks += [_incomplete(provider) for provider in detected.providers if not provider.is_complete]
    text += "\n".join(blocks) if blocks else _EXAMPLE_PROVIDERS
    return text + _TAIL


def _account(provider: DetectedProvider, names: set[str]) -> str:
    lines = [f"  {_unique(provider.type, names)}:", *_settings(provider)]
    if provider.type in _LARGE:
        lines += ["    interval: 1h          # a large catalog; narrow it with models.include to probe more often"]
    lines += [
        "    # models:               # every chat model that it lists, unless narrowed:",
        '    #   include: ["*"]',
        "    #   exclude: []",
    ]
    return "\n".join(lines) + "\n"


def _settings(provider: DetectedProvider) -> Iterable[str]:
    known = PROVIDER_TYPES[provider.type]
    fields = (
        ("type", provider.type),
        ("api_key_env", provider.api_key_env),
        ("base_url", _quoted(provider.base_url)),
        ("region", _quoted(provider.region)),
        ("gcp_project", _quoted(provider.gcp_project)),
        ("api_version", _quoted(provider.api_version)),
    )
    for name, value in fields:
        if value is not None:
            yield f"    {name}: {value}"
    if known.key_env is None and provider.variables:
        yield f"    # credentials: {', '.join(provider.variables)}"


def _server(server: DetectedServer, names: set[str]) -> str:
    name, kind = _SERVERS[server.kind]
    found = ", ".join(server.models[:4]) + (", …" if len(server.models) > 4 else "")
    lines = [f"  {_unique(name, names)}:", f"    type: {kind}", f"    base_url: {server.base_url}"]
    if server.api_key_env:
        lines.append(f"    api_key_env: {server.api_key_env}")
    elif server.needs_key:
        lines.append("    # api_key_env: LITELLM_MASTER_KEY      # it refuses to list its models without one")
    lines.append(f"    # found: {_comment(found)}" if found else "    # it listed no models yet")
    return "\n".join(lines) + "\n"


def _incomplete(provider: DetectedProvider) -> str:
    lines = [f"  # {provider.type}: found {', '.join(provider.variables)}. Before uncommenting:"]
    lines += [f"  #   - {_comment(step)}" for step in provider.missing]
    lines += [f"  # {provider.type}:", *(f"  # {line[2:]}" for line in _settings(provider))]
    if provider.type in ("azure_openai", "google_vertex"):
        example = "my-deployment" if provider.type == "azure_openai" else "gemini-2.5-flash"
        lines.append(f"  #   models: [{example}]")
    return "\n".join(lines) + "\n"


def _unique(name: str, taken: set[str]) -> str:
    number = 1
    unique = name
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    taken.add(unique)
    return unique


def _quoted(text: str | None) -> str | None:
    """Quote a value that came from the environment: nothing in it may become YAML."""
    if text is None:
        return None
    return '"' + _comment(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
