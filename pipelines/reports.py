"""The site: static pages drawn from the published marts, written after every publication.

Every file is replaced atomically and only when its content changed; pages of endpoints that are gone are removed.
Pages of the fleet are drawn every time, an endpoint's own page when its state changed or its turn has come.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from dashboards.chart import Query
from dashboards.pages import endpoint_queries, fleet_queries
from dashboards.site import (
    SiteInputs,
    SqlQuestion,
    design,
    endpoint_data,
    endpoint_page,
    render_site,
    states,
)
from pipelines.landing import write_atomically
from pipelines.resources import HomeResource
from pipelines.warehouse import open_marts

ANALYSES = Path(__file__).parents[1] / "dbt_project" / "analyses"
PAGES_A_REFRESH = 12
"""Endpoint pages drawn in turn at every refresh, whatever the size of the fleet: each takes 0.2 s."""
OLDEST = timedelta(hours=1)
"""No endpoint's page gets older: a fleet too large for the usual number of pages draws more of them."""


def answers(
    con: duckdb.DuckDBPyConnection, queries: Iterable[Query], bound: Mapping[str, object]
) -> dict[str, pl.DataFrame]:
    """Return the frame of every query, by its key; parameters are bound, never pasted."""
    return {
        query.key: con.sql(query.sql, params={name: bound[name] for name in query.parameters} or None).pl()
        for query in queries
    }


def questions(con: duckdb.DuckDBPyConnection, folder: Path = ANALYSES) -> tuple[SqlQuestion, ...]:
    """Return the analysts' questions with their queries and what these return now.

    A query starts with comment lines: ``-- Question: …`` and then how to read the answer.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text(encoding="utf-8").strip()
        lines = text.splitlines()
        header = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        question = header[0].removeprefix("Question:").strip()
        found.append(SqlQuestion(question, " ".join(header[1:]), sql, con.sql(sql.rstrip(";")).pl()))
    return tuple(found)


def gather(con: duckdb.DuckDBPyConnection, *, stale_after_s: float, location: str) -> SiteInputs:
    """Return what the site shows but for the endpoints' own pages, read from one generation of the marts."""
    generation, published_at = con.sql("select generation, published_at from generation").fetchall()[0]
    as_of = con.sql("select max(ended_at) from fct_tick").fetchall()[0][0] or published_at
    bound: dict[str, object] = {"as_of": as_of}
    endpoints, is_demo = con.sql("select count(*), bool_or(is_demo) from dim_endpoint").fetchall()[0]
    waits = OLDEST.total_seconds() if endpoints > PAGES_A_REFRESH else 0.0
    return SiteInputs(
        as_of=as_of.astimezone(UTC),
        generation=generation,
        frames=answers(con, fleet_queries(), bound),
        endpoint_frames={},
        is_demo=bool(is_demo),
        stale_after_s=stale_after_s,
        endpoint_stale_after_s=stale_after_s + waits,
        location=location,
        questions=questions(con),
    )


def with_endpoints(con: duckdb.DuckDBPyConnection, inputs: SiteInputs, endpoints: Iterable[str]) -> SiteInputs:
    """Return the inputs with the frames of some endpoints' pages, from the same connection as the rest."""
    frames = {
        endpoint: answers(con, endpoint_queries(), {"as_of": inputs.as_of, "endpoint_id": endpoint})
        for endpoint in sorted(endpoints)
    }
    return replace(inputs, endpoint_frames=frames)


def last_states(folder: Path) -> dict[str, str]:
    """Return each endpoint's state on the last site; none where there is none, or one of another design."""
    try:
        status = json.loads((folder / "status.json").read_bytes())
        if status.get("design") != design():
            return {}
        return {endpoint["endpoint_id"]: endpoint["state"] for endpoint in status["endpoints"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # whatever lies there is no site of ours: every page is drawn again


def pages_written_at(folder: Path, endpoints: Iterable[str]) -> dict[str, datetime]:
    """Return when each endpoint's page was written; those without a page are left out."""
    pages = {endpoint: folder / endpoint_page(endpoint) for endpoint in endpoints}
    return {
        endpoint: datetime.fromtimestamp(page.stat().st_mtime, UTC) for endpoint, page in pages.items() if page.exists()
    }


def due_endpoints(
    now_in: Mapping[str, str],
    last_in: Mapping[str, str],
    written_at: Mapping[str, datetime],
    *,
    now: datetime,
    every: timedelta,
) -> frozenset[str]:
    """Return the endpoints whose pages are drawn now: no page yet, another state, or their turn, oldest first.

    Args:
        now_in: state of every endpoint by its id.
        last_in: the same, on the last site.
        written_at: when each page was written; endpoints without a page are left out.
        now: moment of this refresh.
        every: time to the next one.
    """
    changed = {name for name, state in now_in.items() if name not in written_at or last_in.get(name) != state}
    turn = sorted(now_in.keys() - changed, key=lambda name: (written_at[name], name))
    rounds = max(1, int(OLDEST / every) - 1)  # one less than fit, since a refresh may be late itself
    share = max(PAGES_A_REFRESH, math.ceil(len(now_in) / rounds))
    # Too old at the next refresh; a page from the future was written by a clock that has since been set back.
    late = {name for name in turn if now + every - written_at[name] > OLDEST or written_at[name] > now}
    return frozenset(changed | late | set(turn[: max(0, share - len(changed))]))


def write_site(folder: Path, files: Mapping[str, bytes], kept: Collection[str] = ()) -> tuple[int, int]:
    """Write what changed and remove what is gone; return (files written, files removed).

    ``kept`` are paths that stay as they are though they are not in ``files``; one that ends in a slash is a folder.
    """
    written = 0
    for name, content in files.items():
        path = folder / name
        if path.exists() and path.stat().st_size == len(content) and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(str(path), content)
        written += 1
    kept_files, kept_folders = set(kept), tuple(path for path in kept if path.endswith("/"))
    gone = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and (name := path.relative_to(folder).as_posix()) not in files
        and name not in kept_files
        and not name.startswith(kept_folders)
    ]
    for path in gone:
        path.unlink(missing_ok=True)
    return written, len(gone)


@dg.asset(
    deps=["published_marts"],
    group_name="published",
    kinds={"plotly"},
    owners=["team:platform"],
    pool="warehouse",
)
def site(home: HomeResource) -> dg.MaterializeResult[Any]:
    """The static pages: fleet status now, uptime, latency, errors, incidents, budgets, cost, one page an endpoint."""
    fleet = home.fleet()
    started = datetime.now(UTC)
    with open_marts(home.home) as con:
        stale_after = 2 * (fleet.interval + fleet.build_every) + fleet.tick_budget
        inputs = gather(con, stale_after_s=stale_after.total_seconds(), location=fleet.location)
        shown = states(inputs)
        pages = pages_written_at(home.home.site, shown)
        due = due_endpoints(shown, last_states(home.home.site), pages, now=started, every=fleet.build_every)
        inputs = with_endpoints(con, inputs, due)
    files = render_site(inputs, render_endpoints=due)
    kept = {path for name in shown.keys() - due for path in (endpoint_page(name), endpoint_data(name))}
    written, removed = write_site(home.home.site, files, kept)
    index = home.home.site / "index.html"
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.url(index.as_uri()),
            "generation": inputs.generation,
            "as_of": dg.MetadataValue.text(inputs.as_of.isoformat()),
            "endpoint_pages": len(shown),
            "endpoint_pages_drawn": len(due),
            "files": len(files),
            "files_written": written,
            "files_removed": removed,
            "bytes": sum(len(content) for content in files.values()),
            "seconds": round((datetime.now(UTC) - started).total_seconds(), 2),
        }
    )


defs = dg.Definitions(assets=[site])
