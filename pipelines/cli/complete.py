"""Shell completion from what is already on disk: no network, and silence when anything is missing."""

import re
from pathlib import Path


def _fleet_text() -> str:
    from pipelines.home import Home

    try:
        return Home.locate().fleet_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _section(text: str, name: str) -> list[str]:
    """Return the keys one level below a section; a regular expression, because a full load takes half a second."""
    found = re.search(rf"^{name}:[^\n]*\n((?:[ #].*\n?|\s*\n)*)", text, re.MULTILINE)
    keys = re.findall(r"^( +)([A-Za-z0-9][\w.-]*):", found[1], re.MULTILINE) if found else []
    shallowest = min((len(indent) for indent, _ in keys), default=0)
    return [key for indent, key in keys if len(indent) == shallowest]


def providers(incomplete: str) -> list[str]:
    """Return provider names that begin as typed."""
    return [name for name in _section(_fleet_text(), "providers") if name.startswith(incomplete)]


def channels(incomplete: str) -> list[str]:
    """Return channel names that begin as typed."""
    return [name for name in _section(_fleet_text(), "channels") if name.startswith(incomplete)]


def endpoints(incomplete: str) -> list[str]:
    """Return endpoint ids of the last catalog that begin as typed; provider patterns before there is one."""
    from pipelines.home import Home

    home = Home.locate()
    if _has_files(home.landing / "endpoint_catalog"):
        from pipelines.cli.known import catalog_ids

        found = [name for name in catalog_ids(home) if name.startswith(incomplete)]
    else:
        found = [f"{name}/*" for name in providers(incomplete.partition("/")[0])]
    return found


def incidents(incomplete: str) -> list[str]:
    """Return ids of open incidents that begin as typed."""
    from pipelines.home import Home

    home = Home.locate()
    if not _has_files(home.landing / "incident_events"):
        return []
    from pipelines.cli.known import open_incidents

    return [row["incident_id"] for row in open_incidents(home) if row["incident_id"].startswith(incomplete)]


def _has_files(folder: Path) -> bool:
    return folder.is_dir()
