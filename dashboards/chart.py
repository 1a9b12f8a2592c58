"""What a chart is: a question, the SQL that answers it, a pure function that draws the answer, and how to read it.

SQL is data here: nothing in this package executes it. Parameters are DuckDB's named ones (``$as_of``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from textwrap import dedent

import plotly.graph_objects as go
import polars as pl

Draw = Callable[[pl.DataFrame], go.Figure]
_PARAMETER = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class Query:
    """A question to the marts that a page needs, with its SQL."""

    key: str
    """Unique; also the name of the downloads."""
    sql: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names to bind, each once: DuckDB refuses a parameter that a query does not use."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.sql)))


@dataclass(frozen=True)
class Chart(Query):
    """A question, answered by a figure (or by a table alone, where ``figure`` is None)."""

    title: str
    """The question, as a reader would ask it."""
    reading: str
    """One line: how to read it."""
    empty: str
    """What will appear here, and when."""
    figure: Draw | None = None
    """Frame of ``sql`` -> Figure. What it left out is said in ``layout.meta["notes"]``."""
    suppressed: str = ""
    """One line: what is left out because there are too few measurements."""
    counted: str = ""
    """Column whose sum is the n beside the chart; rows are counted when empty."""
    noun: str = "rows"
    split_by: str | None = None
    """Column with one figure per value; a page of small, readable figures instead of one with all lines."""


@dataclass(frozen=True)
class Page:
    """One page of the site: its charts in reading order."""

    slug: str
    nav: str
    title: str
    lead: str
    charts: tuple[Chart, ...]


def sql_text(text: str) -> str:
    """Return SQL from an indented literal: no leading blank line, no common margin."""
    return dedent(text).strip()


def readable_sql(sql: str, parameters: Mapping[str, object]) -> str:
    """Return SQL with its parameters written as literals, to paste into any client as it is."""
    return _PARAMETER.sub(lambda found: _literal(parameters[found[1]]) if found[1] in parameters else found[0], sql)


def _literal(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float() | Decimal():
            return str(value)
        case datetime():
            return f"timestamptz '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00}'"
        case date():
            return f"date '{value:%Y-%m-%d}'"
        case _:
            return "'" + str(value).replace("'", "''") + "'"
