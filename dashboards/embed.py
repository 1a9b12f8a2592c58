"""Data inside a page and beside it: trimmed JSON that cannot break out of its element, CSV, Parquet, slugs."""

import hashlib
import io
import json
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import plotly.graph_objects as go
import polars as pl
from markupsafe import Markup

_SIGNIFICANT = 4
"""Digits of a drawn number: finer than any screen, half the bytes."""


def script_json(value: Any) -> Markup:
    """Return JSON for a ``<script type="application/json">``: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 what could end the element was replaced above


def figure_json(figure: go.Figure) -> dict[str, Any]:
    """Return a figure as a JSON object, numbers to four digits, without template and notes: those are the page's."""
    raw = figure.to_plotly_json()
    layout = {key: value for key, value in raw["layout"].items() if key != "template"}
    if "meta" in layout:
        layout["meta"] = {key: value for key, value in layout["meta"].items() if key == "labels"}
    trimmed: dict[str, Any] = _trim({"data": list(raw["data"]), "layout": layout})
    return trimmed


def _trim(value: Any) -> Any:
    match value:
        case bool() | None | str() | int():
            return value
        case float():
            if not isfinite(value):
                return None
            rounded = float(f"{value:.{_SIGNIFICANT}g}")
            return int(rounded) if rounded.is_integer() else rounded
        case Decimal():
            return _trim(float(value))
        case datetime() | date():
            return value.isoformat()
        case dict():
            return {key: _trim(item) for key, item in value.items()}
        case _ if isinstance(value, Iterable):
            return [_trim(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be drawn; hand figures plain lists")


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame as figures want it: decimals as floats, moments in UTC. Downloads keep the exact values."""
    return frame.with_columns(
        pl.col(pl.Decimal).cast(pl.Float64),
        *(
            pl.col(name).dt.convert_time_zone("UTC")
            for name, kind in frame.schema.items()
            if isinstance(kind, pl.Datetime) and kind.time_zone
        ),
    )


def csv_bytes(frame: pl.DataFrame) -> bytes:
    """Return the frame as CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    guarded = frame.with_columns(
        *(
            pl.when(pl.col(name).str.contains(r"^[=+\-@\t\r]"))
            .then(pl.concat_str(pl.lit("'"), pl.col(name)))
            .otherwise(pl.col(name))
            .alias(name)
            for name in texts
        ),
        *(pl.col(name).map_elements(str, return_dtype=pl.String) for name in nested),
    )
    return guarded.write_csv().encode()


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Return the frame as Parquet, every value exact."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def slug(name: str) -> str:
    """Return a file name for any text: readable, lower case, collision-free through eight digits of its SHA-256."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-") or "endpoint"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
