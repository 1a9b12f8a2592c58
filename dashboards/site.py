"""The whole site as bytes: frames in, files out. Pure: nothing is read but this package's own templates."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboards import numbers, svg
from dashboards.chart import Page
from dashboards.embed import script_json, slug
from dashboards.pages import ENDPOINT_CHARTS, PAGES
from dashboards.status import MEANING, EndpointStatus, fleet, headline, status_json
from dashboards.theme import templates
from dashboards.view import Files, View, view

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class SqlQuestion:
    """One question of an analyst with its tested query, for the SQL page."""

    question: str
    why: str
    sql: str
    answer: pl.DataFrame | None = None
    """What the query returns now; the first rows are shown."""


@dataclass(frozen=True)
class SiteInputs:
    """Everything that a site shows. Frames are the results of the queries in `dashboards.pages`, by their keys."""

    as_of: datetime
    """End of the last sweep in the data, aware; never the time of rendering."""
    generation: str
    """Name of the published marts that the frames were read from."""
    frames: Mapping[str, pl.DataFrame]
    """Key of `fleet_queries()` -> frame. A missing chart is shown as having no data yet."""
    endpoint_frames: Mapping[str, Mapping[str, pl.DataFrame]]
    """Endpoint id -> key of `endpoint_queries()` -> frame."""
    is_demo: bool = False
    stale_after_s: float = 1_800
    """The page warns its reader when it is older than this by the reader's clock."""
    endpoint_stale_after_s: float | None = None
    """The same for an endpoint's own page, which may be drawn less often; None: no less often."""
    name: str = "ArgusLab"
    location: str = ""
    questions: tuple[SqlQuestion, ...] = ()


def states(inputs: SiteInputs) -> dict[str, str]:
    """Return the state of every endpoint that the site shows."""
    found = fleet(inputs.frames["fleet_status"], inputs.frames["open_incidents"], inputs.as_of)
    return {endpoint.endpoint_id: endpoint.state for endpoint in found}


def endpoint_page(endpoint_id: str) -> str:
    """Return the path of an endpoint's page."""
    return f"endpoints/{slug(endpoint_id)}.html"


def endpoint_data(endpoint_id: str) -> str:
    """Return the folder, with its slash, of the downloads of an endpoint's page."""
    return f"data/endpoints/{slug(endpoint_id)}/"


@cache
def design() -> str:
    """Return a name of this package's content: pages of another design do not fit the style sheet and the script."""
    found = sorted(path for path in _HERE.rglob("*") if path.suffix in {".py", ".j2", ".css", ".js"})
    return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()[:16]


def render_site(inputs: SiteInputs, *, render_endpoints: Collection[str] | None = None) -> dict[str, bytes]:
    """Return the files of the site, relative path -> bytes; the same inputs give the same bytes.

    Args:
        inputs: what the site shows.
        render_endpoints: endpoints whose own pages are drawn, with their downloads; None is all of them. Pages of the
            others have to be there from before: everything else shows, and links to, every endpoint.

    Raises:
        ValueError: ``as_of`` has no time zone.
        KeyError: the frames of `dashboards.status.QUERIES` are missing: run `fleet_queries()` first.
    """
    if inputs.as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone: pass an aware UTC datetime")
    endpoints = fleet(inputs.frames["fleet_status"], inputs.frames["open_incidents"], inputs.as_of)
    slugs = {endpoint.endpoint_id: slug(endpoint.endpoint_id) for endpoint in endpoints}
    files: Files = dict(_assets())
    base = _base(inputs, endpoints, slugs)
    files["index.html"] = _index(inputs, endpoints, base)
    for shown in PAGES:
        files[f"{shown.slug}.html"] = _page(inputs, shown, base, files)
    files["sql.html"] = _render("sql.html.j2", **base, here="sql", questions=inputs.questions)
    rows = {row["endpoint_id"]: row for row in inputs.frames["fleet_status"].iter_rows(named=True)}
    for endpoint in endpoints:
        name = slugs[endpoint.endpoint_id]
        if render_endpoints is None or endpoint.endpoint_id in render_endpoints:
            page = _endpoint(inputs, endpoint, rows[endpoint.endpoint_id], base, files)
            files[endpoint_page(endpoint.endpoint_id)] = page
        files[f"badges/{name}.svg"] = svg.badge(endpoint.endpoint_id, endpoint.state).encode()
    files["status.json"] = json.dumps(
        status_json(
            endpoints,
            inputs.frames["open_incidents"],
            as_of=inputs.as_of,
            generation=inputs.generation,
            is_demo=inputs.is_demo,
            pages=slugs,
        )
        | {"design": design()},
        indent=1,
    ).encode()
    return files


def _base(inputs: SiteInputs, endpoints: list[EndpointStatus], slugs: dict[str, str]) -> dict[str, Any]:
    return {
        "inputs": inputs,
        "stale_after_s": inputs.stale_after_s,
        "root": "",
        "pages": PAGES,
        "slugs": slugs,
        "as_of": numbers.stamp(inputs.as_of),
        "as_of_ms": int(inputs.as_of.timestamp() * 1000),
        "headline": headline(endpoints, inputs.as_of),
        "meaning": MEANING,
    }


def _index(inputs: SiteInputs, endpoints: list[EndpointStatus], base: Mapping[str, Any]) -> bytes:
    hours: dict[str, list[dict[str, Any]]] = {}
    if "fleet_hours" in inputs.frames:
        utc = inputs.frames["fleet_hours"].with_columns(pl.col("hour_at").dt.convert_time_zone("UTC"))
        for row in utc.iter_rows(named=True):
            hours.setdefault(row["endpoint_id"], []).append(row)
    as_of = inputs.as_of.astimezone(UTC)
    groups: dict[str, list[tuple[EndpointStatus, Markup]]] = {}
    for endpoint in endpoints:
        if endpoint.state != "RETIRED":
            strip = svg.day_strip(hours.get(endpoint.endpoint_id, []), as_of)
            groups.setdefault(endpoint.provider, []).append((endpoint, strip))
    counted, good = sum(e.counted_24h for e in endpoints), sum(e.good_24h for e in endpoints)
    return _render(
        "index.html.j2",
        **base,
        here="index",
        groups=groups,
        retired=[e for e in endpoints if e.state == "RETIRED"],
        incidents=inputs.frames["open_incidents"].to_dicts(),
        watched=sum(1 for e in endpoints if e.state != "RETIRED"),
        up=sum(1 for e in endpoints if e.state == "UP"),
        attempts=sum(e.attempts_24h for e in endpoints),
        counted=counted,
        fleet_uptime=good / counted if counted else None,
        fleet_bounds=numbers.wilson(good, counted),
        now=inputs.as_of,
    )


def _page(inputs: SiteInputs, page: Page, base: Mapping[str, Any], files: Files) -> bytes:
    views = [view(chart, inputs.frames.get(chart.key), {"as_of": inputs.as_of}, "data", files) for chart in page.charts]
    return _render("page.html.j2", **base, here=page.slug, page=page, views=views, data=_data(views))


def _endpoint(
    inputs: SiteInputs, endpoint: EndpointStatus, row: Mapping[str, Any], base: Mapping[str, Any], files: Files
) -> bytes:
    frames = inputs.endpoint_frames.get(endpoint.endpoint_id, {})
    bound = {"as_of": inputs.as_of, "endpoint_id": endpoint.endpoint_id}
    folder = endpoint_data(endpoint.endpoint_id).rstrip("/")
    views = [view(chart, frames.get(chart.key), bound, folder, files) for chart in ENDPOINT_CHARTS]
    return _render(
        "endpoint.html.j2",
        **{**base, "root": "../", "stale_after_s": inputs.endpoint_stale_after_s or inputs.stale_after_s},
        here="endpoint",
        endpoint=endpoint,
        row=row,
        views=views,
        data=_data(views),
        now=inputs.as_of,
    )


def _data(views: list[View]) -> Markup:
    return script_json(
        {"templates": templates(), "figures": {drawn.id: drawn.json for one in views for drawn in one.figures}}
    )


@cache
def _assets() -> tuple[tuple[str, bytes], ...]:
    return (
        ("assets/plotly.min.js", get_plotlyjs().encode()),
        ("assets/site.css", (_HERE / "static" / "site.css").read_bytes()),
        ("assets/site.js", (_HERE / "static" / "site.js").read_bytes()),
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=numbers.percent,
        interval=lambda bounds: numbers.interval(*bounds) if bounds else numbers.DASH,
        ms=numbers.milliseconds,
        usd=numbers.dollars,
        span=numbers.span,
        stamp=numbers.stamp,
        heading=numbers.heading,
        mark=svg.mark,
        tone=svg.TONE.__getitem__,
    )
    environment.globals.update(cell=numbers.cell, since=numbers.since)
    return environment


def _render(template: str, **context: Any) -> bytes:
    return _environment().get_template(template).render(context).encode()
