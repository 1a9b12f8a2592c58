"""What is wrong with fleet.yaml, where, and what to write instead; and how a secret is kept out of the telling."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_SECRET_PREFIXES = re.compile(
    r"^(?:bearer\s+\S|sk[-_]|rk[-_]live|gsk_|xai-|AIza|AKIA|ASIA|ABSK|r8_|hf_|gh[pousr]_|github_pat_|xox[abprs]-|pplx-|"
    r"fw_|tgp_|csk-|nvapi-|eyJ[A-Za-z0-9_-]{8}|https://hooks\.slack\.com/\S|-----BEGIN)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\s'\"`,()\[\]{}]+")
_LONG = 24
"""From this length on, letters of both cases mixed with digits are taken for a key, not for a name."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the file; lines and columns count from 1."""

    message: str
    remedy: str
    key: str = ""
    """Dotted path, e.g. ``providers.openai.api_key_env``; empty for the file as a whole."""
    file: str = "fleet.yaml"
    line: int | None = None
    column: int | None = None
    severity: Literal["error", "warning"] = "error"

    @property
    def where(self) -> str:
        """Return ``file:line:column`` as editors understand it."""
        return ":".join([self.file, *(str(part) for part in (self.line, self.column) if part is not None)])

    def __str__(self) -> str:
        subject = f"{self.key}: " if self.key else ""
        return f"{self.where}: {subject}{self.message}. {self.remedy}"


class FleetError(ValueError):
    """fleet.yaml cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def looks_like_secret(text: str) -> bool:
    """Return whether a value reads like a key or a token rather than like the name of one."""
    text = text.strip()
    if _SECRET_PREFIXES.match(text):
        return True
    has_all = re.search(r"[a-z]", text) and re.search(r"[A-Z]", text) and re.search(r"\d", text)
    is_hex = re.fullmatch(r"[0-9a-f]{32,}", text, re.IGNORECASE)
    return bool(" " not in text and len(text) >= _LONG and (has_all or is_hex))


def without_secrets(text: str) -> str:
    """Return the text with everything that looks like a key replaced by an ellipsis."""
    return _TOKEN.sub(lambda found: "…" if looks_like_secret(found[0]) else found[0], text)
