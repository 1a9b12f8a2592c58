"""The site: static pages drawn from the published marts, written after every publication.

Every file is replaced atomically and only when its content changed; pages of endpoints that are gone are removed.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from dashboards.chart import Query
from dashboards.pages import endpoint_queries, fleet_queries
from dashboards.site import SiteInputs, SqlQuestion, render_site
from pipelines.landing import write_atomically
from pipelines.resources import HomeResource
from pipelines.warehouse import open_marts

ANALYSES = Path(__file__).parents[1] / "dbt_project" / "analyses"


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
    """Return everything that the site shows, read from one generation of the marts."""
    generation, published_at = con.sql("select generation, published_at from generation").fetchall()[0]
    as_of = con.sql("select max(ended_at) from fct_tick").fetchall()[0][0] or published_at
    bound: dict[str, object] = {"as_of": as_of}
    endpoints = con.sql("select endpoint_id, is_demo from dim_endpoint order by endpoint_id").fetchall()
    return SiteInputs(
        as_of=as_of.astimezone(UTC),
        generation=generation,
        frames=answers(con, fleet_queries(), bound),
        endpoint_frames={
            endpoint: answers(con, endpoint_queries(), bound | {"endpoint_id": endpoint}) for endpoint, _ in endpoints
        },
        is_demo=any(is_demo for _, is_demo in endpoints),
        stale_after_s=stale_after_s,
        location=location,
        questions=questions(con),
    )


def write_site(folder: Path, files: Mapping[str, bytes]) -> tuple[int, int]:
    """Write what changed and remove what is gone; return (files written, files removed)."""
    written = 0
    for name, content in files.items():
        path = folder / name
        if path.exists() and path.stat().st_size == len(content) and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(str(path), content)
        written += 1
    gone = [path for path in folder.rglob("*") if path.is_file() and str(path.relative_to(folder)) not in files]
    for path in gone:
        path.unlink(missing_ok=True)
    return written, len(gone)


@dg.asset(
    deps=["published_marts"],
    group_name="reliability",
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
    files = render_site(inputs)
    written, removed = write_site(home.home.site, files)
    index = home.home.site / "index.html"
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.url(index.as_uri()),
            "generation": inputs.generation,
            "as_of": dg.MetadataValue.text(inputs.as_of.isoformat()),
            "files": len(files),
            "files_written": written,
            "files_removed": removed,
            "bytes": sum(len(content) for content in files.values()),
            "seconds": round((datetime.now(UTC) - started).total_seconds(), 2),
        }
    )


defs = dg.Definitions(assets=[site])
