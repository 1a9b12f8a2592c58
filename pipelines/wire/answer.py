"""Did the right model give the right answer? Two checks that would rather say nothing than raise a false alarm."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

# A run of digits, or groups of three behind a separator: 1391, 1,391, 1 391 (narrow or fixed space), 1{,}391 (LaTeX).
_NUMBER = re.compile(
    r"(?<![\dA-Za-z])(?<!\d[.,])"
    r"([1-9]\d{0,2}(?:(?:[,_'’.\u00a0\u202f\u2009]|\{,\}|\\,)\d{3})+|\d+)(?:\.0+)?"
    r"(?![\dA-Za-z])(?![.,]\d)"
)
_NOT_DIGIT = re.compile(r"\D")
_SNAPSHOT = re.compile(
    r"[-@:](?:\d{3,}[\d\-]*(?:-?v\d[\d.:]*)?|v\d[\d.:]*|latest|preview[\w.\-]*|exp[\w.\-]*|stable|free)"
)
_MOVING = re.compile(r"[-:](?:latest|free|beta|preview|auto)$")
_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{3,4})(?=$|-v\d)")


def is_right(answer: str, expect: str) -> bool:
    """Return whether the visible answer holds what was expected.

    A number must stand there as a number of its own, digit separators ignored: ``1,391`` is 1391, ``13910``,
    ``3,91`` and ``391.5`` are not 391. Any other text must be contained, in whatever case.
    """
    wanted = expect.strip()
    if not (wanted.isascii() and wanted.isdigit()):
        return wanted.casefold() in answer.casefold()
    for match in _NUMBER.finditer(answer):
        at = match.start()
        is_negative = answer[max(at - 1, 0) : at] in ("-", "−") and not answer[max(at - 2, 0) : at - 1].isalnum()
        digits = _NOT_DIGIT.sub("", match[1])
        if not is_negative and len(digits) <= 64 and int(digits) == int(wanted):
            return True
    return False


def is_model_allowed(response: str | None, requested: str | None, allowed: Sequence[str] | None) -> bool | None:
    """Return whether the model that says it answered may answer; None when that cannot be known.

    With patterns, the patterns decide. Without, the requested model and its dated snapshots are right, and another
    version of the same family is wrong; everything else (aliases, gateways, names of deployments) is unknown.
    """
    if response is None:
        return None
    if allowed:
        return any(fnmatchcase(name, pattern) for name in {response, _bare(response)} for pattern in allowed)
    if requested is None:
        return None
    asked, said = _bare(requested), _bare(response)
    stem = _MOVING.sub("", asked)
    if said in (asked, stem) or (said.startswith(stem) and _SNAPSHOT.fullmatch(said[len(stem) :])):
        return True
    asked_parts, said_parts = _parts(stem), _parts(said)
    if sorted(asked_parts) == sorted(said_parts):
        return True
    # An alias that moves, a name without a version, or a longer and a shorter name of what may be the same.
    is_vague = stem != asked or not any(c.isdigit() for c in stem) or not any(c.isdigit() for c in said)
    asked_run, said_run = "".join(asked_parts), "".join(said_parts)
    if is_vague or set(asked_parts) <= set(said_parts) or set(said_parts) <= set(asked_parts):
        return None
    if asked_run.startswith(said_run) or said_run.startswith(asked_run):
        return None
    return False if _family(asked) == _family(said) else None


def _bare(model: str) -> str:
    """Return the last segment of a path-like id: ``accounts/fireworks/models/x`` and ``models/x`` are ``x``."""
    return model.rstrip("/").rsplit("/", 1)[-1].lower()


def _parts(model: str) -> list[str]:
    """Return the words and numbers of an id without its date: gateways order them as they like."""
    return [part for part in re.split(r"[-._:@]", _DATE.sub("", model)) if part]


def _family(model: str) -> str:
    return re.split(r"[-._:\d]", model)[0]
