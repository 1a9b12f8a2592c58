"""The Markdown report: the machine, what was measured against which bar, and how each number was taken."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from tests.bench.numbers import Verdict

PACKAGES = ("dagster", "dbt-core", "dbt-duckdb", "duckdb", "httpx", "litellm", "polars", "pyarrow")


BUSY = 0.5
"""A one-minute load above this means that the times are not clean."""


@dataclass(frozen=True)
class Bar:
    """One line of the report."""

    what: str
    bar: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Table:
    """Figures behind the bars: what cannot be said in one line."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """What one part of the bench found, and how it was taken."""

    name: str
    how: str
    bars: tuple[Bar, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What the numbers were taken on; no name and no path of it."""

    cores: int
    memory_gb: float
    system: str
    python: str
    load_before: float
    """Runnable processes over the last minute, before the bench began: above 0.5 somebody else was at work."""
    packages: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls) -> "Machine":
        """Describe this machine."""
        pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            memory_gb=pages / 1e9,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            load_before=os.getloadavg()[0],
            packages={name: found for name in PACKAGES if (found := _version(name))},
        )


def markdown(machine: Machine, sections: Sequence[Section], *, taken_at: datetime, is_quick: bool) -> str:
    """Return the whole report."""
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    taken = (
        f"Taken {taken_at:%Y-%m-%d %H:%M} UTC on {machine.cores} cores, {machine.memory_gb:.0f} GB, {machine.system}"
    )
    load = f"Load before it began: {machine.load_before:.2f}"
    if machine.load_before > BUSY:
        load += " — **somebody else was at work: the times below are not clean**"
    lines = ["# Bench report", "", f"{taken}, Python {machine.python}; {packages}.", "", f"{load}."]
    if is_quick:
        lines += [
            "",
            "**A quick run: fewer repeats and smaller sizes than the bars ask for. Nothing here is a proof.**",
        ]
    lines += ["", "## Bars", "", *_table(("what", "bar", "measured", "verdict"), _rows(sections))]
    for section in sections:
        lines += ["", f"## {section.name}", "", section.how]
        for table in section.tables:
            lines += ["", f"**{table.title}**", "", *_table(table.columns, table.rows)]
        lines += [f"\n- {note}" for note in section.notes]
    return "\n".join(lines) + "\n"


def plain(sections: Sequence[Section]) -> str:
    """Return the bars as lines for a terminal."""
    rows = _rows(sections)
    if not rows:
        return "nothing was measured"
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}" for row in rows
    )


def _rows(sections: Sequence[Section]) -> list[tuple[str, ...]]:
    return [(bar.what, bar.bar, bar.measured, bar.verdict) for section in sections for bar in section.bars]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in (columns, ["---"] * len(columns), *rows)
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
