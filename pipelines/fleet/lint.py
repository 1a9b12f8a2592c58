"""What a valid fleet.yaml will not do as its author hopes: warnings, never errors."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path as FilePath

from pipelines.fleet.explain import suggestion
from pipelines.fleet.models import Fleet, Promises, Provider, Timeouts
from pipelines.fleet.problems import Problem
from pipelines.fleet.providers import PROVIDER_TYPES, provider_type
from pipelines.fleet.resolve import key_env, merged, resolve
from pipelines.fleet.tree import Path, Tree, dotted

Told = tuple[Path, str, str]
_LITELLM_NAMES = {row.litellm: row.name for row in PROVIDER_TYPES.values() if row.litellm != row.name}


def warnings_of(
    fleet: Fleet,
    tree: Tree,
    file: str,
    *,
    env: Mapping[str, str] | None = None,
    listed: Mapping[str, Iterable[str]] | None = None,
) -> list[Problem]:
    """Return the warnings of a fleet; ``env`` and ``listed`` as in :func:`pipelines.fleet.validate.load_fleet`."""
    told: list[Told] = [
        *_providers(fleet),
        *_pace(fleet),
        *_patterns(fleet, {name: tuple(models) for name, models in listed.items()} if listed is not None else None),
        *_routes(fleet),
        *([] if env is None else _variables(fleet, env)),
    ]
    problems = []
    for path, message, remedy in told:
        line, column = tree.at(path) or (None, None)
        problems.append(Problem(message, remedy, dotted(path), file, line, column, "warning"))
    return problems


def _providers(fleet: Fleet) -> list[Told]:
    told: list[Told] = []
    if not fleet.providers:
        told.append((("providers",), "no provider is configured, so nothing is probed", "Run: arguslab init"))
    for name, provider in fleet.providers.items():
        at: Path = ("providers", name)
        known = provider.type in PROVIDER_TYPES
        meant = _LITELLM_NAMES.get(provider.type) or suggestion(provider.type, PROVIDER_TYPES, 0.8)
        if not known and meant:
            message = f"`{provider.type}` is none of the known types and is taken as a LiteLLM provider"
            told.append(((*at, "type"), message, f"Did you mean `{meant}`?"))
        kind = provider_type(provider.type)
        has_list = kind.discovery not in ("none", "azure") and not (
            kind.discovery == "vertex" and not key_env(provider)
        )
        if provider.models.discover and not provider.models.also and not has_list:
            message = "this provider publishes no list of what you can call, so nothing is probed"
            told.append(((*at, "models"), message, "Name the models: `models: [model-a, model-b]`"))
        if provider.expect is not None and provider.prompt is None:
            told.append(
                ((*at, "expect"), "`expect` judges the answer to `prompt`, which is not set", "Add `prompt: …`")
            )
        for field in ("ca_file", "client_cert_file", "client_key_file"):
            value = getattr(provider.tls, field)
            if value is not None and not FilePath(value).is_file():
                told.append(((*at, "tls", field), f"there is no file `{value}`", "Correct the path"))
        if not provider.tls.verify:
            remedy = "Name the certificate authority with `ca_file` instead"
            told.append(((*at, "tls", "verify"), "certificates are not checked: anybody can answer", remedy))
    return told


def _pace(fleet: Fleet) -> list[Told]:
    """Judge intervals against timeouts, and promises against what so many probes can show."""
    told = _timeouts((), fleet.timeouts, fleet.interval)
    told += _promises((), fleet.promises, fleet.interval)
    layers = [(("providers", name), item) for name, item in fleet.providers.items()]
    layers += [(("endpoints", name), item) for name, item in fleet.endpoints.items()]  # type: ignore[misc]  # both tune
    for path, layer in layers:
        interval = layer.interval or fleet.interval
        if layer.timeouts is not None or layer.interval is not None:
            told += _timeouts(path, merged(fleet.timeouts, layer.timeouts), interval)
        if layer.promises is not None or layer.interval is not None:
            told += _promises(path, merged(fleet.promises, layer.promises), interval)
    return told


def _timeouts(path: Path, timeouts: Timeouts, interval: timedelta) -> list[Told]:
    told: list[Told] = []
    at = (*path, "timeouts")
    if timeouts.total >= interval:
        message = f"one attempt may take {_text(timeouts.total)}, and the next is due after {_text(interval)}"
        told.append((at, message, "Lower `timeouts.total` or lengthen `interval`"))
    for name in ("connect", "first_token", "idle"):
        part: timedelta = getattr(timeouts, name)
        if part > timeouts.total:
            message = f"`{name}` ({_text(part)}) is longer than `total` ({_text(timeouts.total)}) and never runs out"
            told.append(((*at, name), message, f"Lower `{name}` or raise `total`"))
    return told


def _promises(path: Path, promises: Promises, interval: timedelta) -> list[Told]:
    at = (*path, "promises", "availability")
    attempts = promises.window / interval
    allowed = attempts * (1 - promises.availability)
    if promises.availability >= 1:
        message = "a promise of 100% is broken by the first failure and stays broken for the whole window"
        return [(at, message, "Promise less, such as 99.9%")]
    if allowed < 1:
        message = (
            f"{promises.availability:.6g} over {_text(promises.window)} cannot be shown with one probe every "
            f"{_text(interval)}: the {attempts:,.0f} probes of a window allow {allowed:.2g} failures"
        )
        return [(at, message, "Probe more often, lengthen `window`, or promise less")]
    return []


def _patterns(fleet: Fleet, listed: Mapping[str, tuple[str, ...]] | None) -> list[Told]:
    told: list[Told] = []
    fixed = {name: item.models.also for name, item in fleet.providers.items() if not item.models.discover}
    known = {**(listed or {}), **fixed}
    complete = all(name in known for name in fleet.providers)
    ids = [endpoint.endpoint_id for endpoint in resolve(fleet.model_copy(update={"endpoints": {}}), known)]
    uses: list[tuple[Path, str]] = [(("endpoints", pattern), pattern) for pattern in fleet.endpoints]
    for at, window in enumerate(fleet.maintenance):
        uses += [(("maintenance", at, "endpoints", n), pattern) for n, pattern in enumerate(window.endpoints)]
    for path, pattern in uses:
        matches = any(fnmatchcase(one, pattern) for one in ids)
        if not matches and (complete or not _could_match(pattern, fleet.providers)):
            example = ids[0] if ids else "provider/model-*"
            told.append((path, f"the pattern `{pattern}` matches no endpoint", f"Endpoints look like `{example}`"))
    for name, provider in fleet.providers.items():
        if listed is None or name not in listed or not provider.models.discover:
            continue
        for field in ("include", "exclude"):
            for n, pattern in enumerate(getattr(provider.models, field)):
                if pattern != "*" and not any(fnmatchcase(model, pattern) for model in listed[name]):
                    path = ("providers", name, "models", field, n)
                    remedy = f"List its models with: arguslab discover {name}"
                    told.append((path, f"the pattern `{pattern}` matches no model of this provider", remedy))
    return told


def _could_match(pattern: str, providers: Iterable[str]) -> bool:
    """Return whether some model name could make a ``provider/model`` id that the pattern matches."""
    head, slash, _ = pattern.partition("/")
    if any(fnmatchcase(name, head) for name in providers) and slash:
        return True
    # A star before the slash may stand for the slash as well: `open*` matches `openai/gpt`.
    fixed = head.partition("*")[0].partition("?")[0].partition("[")[0]
    return "*" in head and any(name.startswith(fixed) for name in providers)


def _routes(fleet: Fleet) -> list[Told]:
    owners = {item.owner for item in fleet.projects.values()} | {item.owner for item in fleet.providers.values()}
    owners |= {item.owner for item in fleet.endpoints.values()}
    return [
        (("routes", at, "owners", n), f"nothing is owned by `{owner}`, so this never matches", "Set `owner:` somewhere")
        for at, route in enumerate(fleet.routes)
        for n, owner in enumerate(route.owners)
        if owner not in owners
    ]


def _variables(fleet: Fleet, env: Mapping[str, str]) -> list[Told]:
    uses: list[tuple[Path, str]] = []
    for name, provider in fleet.providers.items():
        if provider.enabled is False:
            continue
        if (variable := key_env(provider)) is not None and not _is_optional(provider):
            uses.append((("providers", name, "api_key_env"), variable))
        uses += [(("providers", name, "headers_env", header), v) for header, v in provider.headers_env.items()]
    for name, channel in fleet.channels.items():
        for field in ("webhook_url_env", "url_env", "secret_env"):
            value = getattr(channel, field, None)
            if isinstance(value, str):
                uses.append((("channels", name, field), value))
    if fleet.alerting.heartbeat_url_env:
        uses.append((("alerting", "heartbeat_url_env"), fleet.alerting.heartbeat_url_env))
    return [
        (path, f"the environment variable {variable} is not set", f"Set it before starting: export {variable}=…")
        for path, variable in uses
        if not env.get(variable)
    ]


def _is_optional(provider: Provider) -> bool:
    """A type that is none of the sixteen may authenticate in a way only LiteLLM knows."""
    return provider.type not in PROVIDER_TYPES and provider.api_key_env is None


def _text(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
