"""fleet.yaml to a :class:`Fleet`: every problem at once, each with file, line, column, key path and remedy."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from pipelines.fleet.explain import explain, is_env_name_field, secret_words, suggestion
from pipelines.fleet.lint import warnings_of
from pipelines.fleet.models import Fleet
from pipelines.fleet.problems import FleetError, Problem, looks_like_secret, without_secrets
from pipelines.fleet.providers import PROVIDER_TYPES
from pipelines.fleet.resolve import key_owner
from pipelines.fleet.tree import Path, Tree, dotted, parse

_NAMED = ("projects", "providers", "endpoints", "channels")
"""Sections whose keys are the user's own names; an empty entry stands for its defaults."""


@dataclass(frozen=True)
class Loaded:
    """A valid fleet, the SHA-256 of its text, and warnings that do not stop it."""

    fleet: Fleet
    text_hash: str
    problems: tuple[Problem, ...] = ()


def load_fleet(
    path: FilePath,
    *,
    env: Mapping[str, str] | None = None,
    listed: Mapping[str, Iterable[str]] | None = None,
) -> Loaded:
    """Read and validate a fleet file.

    Args:
        path: The file.
        env: With it, variables that the fleet names and the environment lacks become warnings.
        listed: Models by provider as discovery knows them; with it, patterns that match none become warnings.

    Raises:
        FleetError: The file is missing, unreadable or invalid; carries every problem.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FleetError([Problem("there is no such file", "Write one with: arguslab init", file=str(path))]) from error
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise FleetError([Problem(message, "Check its permissions", file=str(path))]) from error
    return load_text(data, file=str(path), env=env, listed=listed)


def load_text(
    data: bytes | str,
    *,
    file: str = "fleet.yaml",
    env: Mapping[str, str] | None = None,
    listed: Mapping[str, Iterable[str]] | None = None,
) -> Loaded:
    """Validate a fleet's text; see :func:`load_fleet`."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    tree = parse(raw, file)
    tree.value = _without_empty(tree.value)
    problems = [*_secrets(tree, file), *_references(tree, file), *_addresses(tree, file)]
    try:
        fleet = Fleet.model_validate(tree.value)
    except ValidationError as error:
        told = {problem.key for problem in problems}
        details = error.errors(include_url=False)
        found = [explain(detail, tree, file) for detail in details if detail["loc"]]
        # A root-level error is the models' own reference check, told above with its line.
        found = found or [explain(detail, tree, file) for detail in details if not problems]
        problems += [problem for problem in found if problem.key not in told]
        raise FleetError(_in_order(problems)) from error
    if problems:
        raise FleetError(_in_order(problems))
    warnings = warnings_of(fleet, tree, file, env=env, listed=listed)
    return Loaded(fleet, hashlib.sha256(raw).hexdigest(), tuple(_in_order(warnings)))


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line or 0, problem.column or 0, problem.key))


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    """Treat ``routes:`` with nothing below it as not written: its lines are usually commented out."""
    kept = {key: item for key, item in value.items() if item is not None}
    for section in _NAMED:
        if isinstance(kept.get(section), dict):
            kept[section] = {name: _settings(item) for name, item in kept[section].items()}
    return kept


def _settings(item: Any) -> Any:
    if item is None:
        return {}
    return {key: value for key, value in item.items() if value is not None} if isinstance(item, dict) else item


def _problem(tree: Tree, file: str, path: Path, message: str, remedy: str) -> Problem:
    line, column = tree.at(path) or (None, None)
    return Problem(without_secrets(message), without_secrets(remedy), dotted(path), file, line, column)


def _secrets(tree: Tree, file: str) -> list[Problem]:
    """Find secrets in the place of names: they may even pass as names (``gsk_…`` does)."""
    found = []
    for path, text in _leaves(tree.value, ()):
        header = len(path) > 1 and path[-2] == "headers"
        if not looks_like_secret(text) or (path and path[0] == "endpoints" and "params" in path):
            continue
        if is_env_name_field(path):
            found.append(_problem(tree, file, path, *secret_words(str(path[-1]))))
        elif header:
            message = "this header holds what looks like a secret"
            remedy = f"Move it to `headers_env: {{{path[-1]}: NAME_OF_A_VARIABLE}}`"
            found.append(_problem(tree, file, path, message, remedy))
    for name, provider in _providers(tree):
        url = provider.get("base_url")
        if isinstance(url, str) and "@" in url.partition("://")[2].partition("/")[0]:
            path = ("providers", name, "base_url")
            message, remedy = "the URL carries a user name or a password", "Use api_key_env or headers_env instead"
            found.append(_problem(tree, file, path, message, remedy))
    return found


def _leaves(value: Any, path: Path) -> list[tuple[Path, str]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for at, item in enumerate(value) for leaf in _leaves(item, (*path, at))]
    return [(path, value)] if isinstance(value, str) else []


def _section(tree: Tree, name: str) -> dict[str, Any]:
    found = tree.value.get(name)
    return found if isinstance(found, dict) else {}


def _providers(tree: Tree) -> list[tuple[str, dict[str, Any]]]:
    return [(name, item) for name, item in _section(tree, "providers").items() if isinstance(item, dict)]


def _references(tree: Tree, file: str) -> list[Problem]:
    """Check every name that points at another entry, on the raw values, so that other mistakes do not hide it."""
    projects = {*_section(tree, "projects"), "default"}
    channels = {*_section(tree, "channels")} if "channels" in tree.value else {"console"}
    uses: list[tuple[Path, Any, str, set[str]]] = []
    for section in ("providers", "endpoints"):
        for name, item in _section(tree, section).items():
            if isinstance(item, dict) and "project" in item:
                uses.append(((section, name, "project"), item["project"], "project", projects))
    routes = tree.value.get("routes")
    for at, route in enumerate(routes if isinstance(routes, list) else []):
        for key, kind, known in (("channels", "channel", channels), ("projects", "project", projects)):
            names = route.get(key) if isinstance(route, dict) else None
            for position, name in enumerate(names if isinstance(names, list) else []):
                uses.append((("routes", at, key, position), name, kind, known))
    escalate = _section(tree, "alerting").get("escalate_to")
    for position, name in enumerate(escalate if isinstance(escalate, list) else []):
        uses.append((("alerting", "escalate_to", position), name, "channel", channels))
    problems = []
    for path, name, kind, known in uses:
        if isinstance(name, str) and name not in known:
            meant = suggestion(name, known)
            remedy = f"Did you mean `{meant}`?" if meant else f"Define it under `{kind}s:`"
            problems.append(_problem(tree, file, path, f"no {kind} is called `{name}`", remedy))
    return problems


def _addresses(tree: Tree, file: str) -> list[Problem]:
    """Check that each provider has an address, and that no key would go to another vendor's host."""
    problems = []
    for name, provider in _providers(tree):
        kind = PROVIDER_TYPES.get(str(provider.get("type")))
        if kind is None:
            continue
        if kind.name in ("azure_openai", "custom_openai_compatible") and not provider.get("base_url"):
            example = "https://NAME.openai.azure.com" if kind.name == "azure_openai" else "http://127.0.0.1:8000/v1"
            path: Path = ("providers", name, "base_url")
            problems.append(_problem(tree, file, path, "`base_url` is missing", f"Add `base_url: {example}`"))
        key_env = provider.get("api_key_env")
        owner = key_owner(key_env) if isinstance(key_env, str) and not provider.get("base_url") else None
        if owner is not None and owner != kind.name:
            message = f"`{key_env}` is the key of {owner}, and would be sent to {kind.name}"
            remedy = f"Write `api_key_env: {kind.key_env or '…'}`, or name the `base_url` that the key is for"
            problems.append(_problem(tree, file, ("providers", name, "api_key_env"), message, remedy))
    return problems
