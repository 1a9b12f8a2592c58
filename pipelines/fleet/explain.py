"""Pydantic's errors about fleet.yaml in the words of the person who wrote it, each with a remedy."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from pipelines.fleet.models import Fleet
from pipelines.fleet.problems import Problem, looks_like_secret, without_secrets
from pipelines.fleet.providers import PROVIDER_TYPES
from pipelines.fleet.tree import Path, Tree, dotted

_CHANNEL_TYPES = ("console", "slack", "webhook", "apprise")
_SHAPES = {
    "dict_type": "a mapping of `key: value` lines",
    "model_type": "a mapping of `key: value` lines",
    "model_attributes_type": "a mapping of `key: value` lines",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_PATTERNS = {
    "base_url": ("is not a base URL", "Write it with its scheme and host, such as https://llm.example.com/v1"),
    "url": ("is not a URL", "Write it with its scheme, such as https://hooks.example.com/arguslab"),
    "page_base_url": ("is not a URL", "Write it with its scheme, such as https://status.example.com"),
    "type": ("is not a provider type", "Write one such as openai, anthropic, ollama or custom_openai_compatible"),
    "from": ("is not a time of day", "Write hours and minutes, such as 22:00"),
}


def explain(detail: ErrorDetails, tree: Tree, file: str) -> Problem:
    """Return one validation error with its position, key path, meaning and remedy."""
    path = _in_file(detail["loc"], tree.value)
    message, remedy = _words(detail, path, tree.value)
    line, column = tree.at(path) or (None, None)
    return Problem(without_secrets(message), without_secrets(remedy), dotted(path), file, line, column)


def suggestion(word: str, known: Any, cutoff: float = 0.6) -> str | None:
    """Return the known word that was probably meant."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def keys_at(path: Path, value: Any) -> tuple[str, ...]:
    """Return the keys that fleet.yaml allows at a path; ``value`` is the whole file, to tell channel types apart."""
    schema, node = _schema(), value
    for part in path:
        node = _child(node, part)
        schema = _step(schema, part, node)
    return tuple(schema.get("properties", {}))


@cache
def _schema() -> dict[str, Any]:
    return Fleet.model_json_schema(by_alias=True)


def _step(schema: dict[str, Any], part: str | int, value: Any) -> dict[str, Any]:
    if isinstance(part, int):
        found = schema.get("items", {})
    else:
        additional = schema.get("additionalProperties")
        found = schema.get("properties", {}).get(part) or (additional if isinstance(additional, dict) else {})
        found = found or next(iter(schema.get("patternProperties", {}).values()), {})
    return _resolved(found, value)


def _resolved(schema: dict[str, Any], value: Any) -> dict[str, Any]:
    if "discriminator" in schema:
        kind = value.get("type") if isinstance(value, dict) else None
        reference = schema["discriminator"]["mapping"].get(kind if isinstance(kind, str) else "", "")
        schema = {"$ref": reference} if reference else {}
    for option in schema.get("anyOf", []):
        if "$ref" in option:
            schema = option
    if "$ref" in schema:
        found: dict[str, Any] = _schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    return schema


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, dict) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _in_file(loc: tuple[str | int, ...], value: Any) -> Path:
    """Drop the steps that exist only in the models: union tags, ``[key]``, and the ``also`` of a plain list."""
    path: list[str | int] = []
    for at, part in enumerate(loc):
        last = at == len(loc) - 1
        tag = part in _CHANNEL_TYPES and len(path) == 2 and path[0] == "channels"
        if part == "[key]" or tag or (isinstance(value, list) and isinstance(part, str)):
            continue
        if not last and _child(value, part) is None and not isinstance(value, dict | list):
            break
        path.append(part)
        value = _child(value, part)
    return tuple(path)


def _words(detail: ErrorDetails, path: Path, root: Any) -> tuple[str, str]:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    key = str(path[-1]) if path else ""
    shown = _shown(given)
    if kind == "extra_forbidden":
        known = keys_at(path[:-1], root)
        meant = suggestion(key, known)
        remedy = f"Did you mean `{meant}`?" if meant else f"Allowed here: {', '.join(known) or 'nothing'}"
        return ("there is no such key", remedy)
    if kind == "missing":
        return (f"`{key}` is missing", f"Add `{key}: …`{_example(path)}")
    if kind == "value_error":
        text = str(context.get("error", detail["msg"]))
        message, _, remedy = text.partition("; ")
        return (message, (remedy[:1].upper() + remedy[1:]) or "Correct the value")
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", ""))
        meant = suggestion(str(given), expected.replace("'", "").replace(" or ", ", ").split(", "))
        return (f"{shown} is not allowed here", f"Did you mean `{meant}`?" if meant else f"Write one of {expected}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        named = given.get("type") if isinstance(given, Mapping) else None
        meant = suggestion(str(named), _CHANNEL_TYPES) if named else None
        what = f"{_shown(named)} is no channel type" if named else "the channel has no `type`"
        return (what, f"Did you mean `{meant}`?" if meant else f"Write type: {' | '.join(_CHANNEL_TYPES)}")
    if kind == "string_pattern_mismatch":
        return _pattern(key, given, path)
    if kind in _SHAPES:
        quote = " (quote it)" if kind == "string_type" and isinstance(given, int | float) else ""
        return (f"{shown} is not {_SHAPES[kind]}", f"Write {_SHAPES[kind]}{quote}")
    if kind.startswith(("greater_than", "less_than")):
        limit = next(iter(context.values()), "")
        words = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than"}
        return (f"{shown} is out of range", f"Write {words.get(kind, 'at most')} {limit}")
    if kind in ("timezone_aware", "timezone_naive") or kind.startswith("datetime"):
        return (f"{shown} is not a moment with a time zone", "Write it like 2026-12-01T22:00:00+01:00")
    if kind == "too_short":
        return ("the list is empty", "Name at least one")
    if kind == "string_too_long":
        return (f"the text has more than {context.get('max_length')} characters", "Shorten it")
    return (detail["msg"].lower(), "`arguslab schema` prints what is allowed here")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text[:60]}{'…' if len(text) > 60 else ''}`"


def _example(path: Path) -> str:
    if path[-1] == "type" and len(path) == 3 and path[0] == "providers":
        meant = suggestion(str(path[1]), PROVIDER_TYPES)
        return f" such as `type: {meant or 'openai'}`"
    return ""


def _pattern(key: str, given: Any, path: Path) -> tuple[str, str]:
    if is_env_name_field(path):
        if looks_like_secret(str(given)):
            return secret_words(key)
        return (f"{_shown(given)} is not the name of an environment variable", "Write a name such as OPENAI_API_KEY")
    if key in _PATTERNS:
        message, remedy = _PATTERNS[key]
        return (f"{_shown(given)} {message}", remedy)
    return (
        f"{_shown(given)} is not a name",
        "Use letters, digits, dots, dashes and underscores, at most 64, beginning with a letter or a digit",
    )


def is_env_name_field(path: Path) -> bool:
    """Return whether the value at a path is the name of an environment variable."""
    return bool(path) and (str(path[-1]).endswith("_env") or (len(path) > 1 and path[-2] == "headers_env"))


def secret_words(key: str) -> tuple[str, str]:
    """Return message and remedy for a secret in the place of a variable's name, without repeating it."""
    return (
        "this looks like the secret itself; only the NAME of an environment variable belongs here",
        f"Put it into a variable, write {key}: NAME_OF_THAT_VARIABLE, and have a new secret issued",
    )
