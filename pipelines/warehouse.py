"""The warehouse: dbt's private build file, and the generations that everybody else reads.

`publish` copies every mart of the build into a new read-only file and flips the symlink ``marts.duckdb`` to it:
a reader has the old generation or the new one, whole, and blocks nobody.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.home import Home

STORAGE_VERSION = "v1.4.0"
"""Written so that analysts' clients from DuckDB 1.4 on can open the marts."""

_GENERATION = re.compile(r"marts-(\d{8}T\d{6})-(\d{6})\.duckdb")


class WarehouseError(Exception):
    """The marts cannot be published or read; the message says what to do next."""


@dataclass(frozen=True)
class Generation:
    """One published file."""

    name: str
    path: Path
    tables: dict[str, int]
    """Rows of each mart."""
    bytes: int


def publish(home: Home, *, keep: int, now: datetime) -> Generation:
    """Copy the marts of the build file into a new generation and let readers see it; return what was published.

    Tables of the build's ``main`` schema are copied; its views there and in ``live`` read landed files and keep their
    text, with this home's absolute paths. ``keep`` is how many generations stay.
    Raises WarehouseError when there is no build. A crash leaves the last generation published and no half file visible.
    """
    if not home.build.exists():
        raise WarehouseError("there is no build yet; materialize the dbt models first (job `refresh`)")
    name = _next_name(home, now)
    target = home.warehouse / name
    temporary = home.warehouse / f".{name}.tmp"
    _sweep_temporaries(home)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"attach '{_quoted(home.build)}' as build (read_only)")
        con.execute(f"attach '{_quoted(temporary)}' as pub (storage_version '{STORAGE_VERSION}')")
        tables = _copy_tables(con)
        _copy_views(con)
        _copy_comments(con)
        con.execute(
            "create table pub.generation as select $name as generation, $now::timestamptz as published_at",
            {"name": name.removesuffix(".duckdb"), "now": now},
        )
        con.execute("detach pub")
    _sync(temporary)
    temporary.chmod(0o444)
    temporary.rename(target)
    _flip(home, target)
    _prune(home, keep)
    return Generation(name.removesuffix(".duckdb"), target, tables, target.stat().st_size)


@contextmanager
def one_builder(home: Home) -> Iterator[None]:
    """Wait until no other process builds or publishes in this home, then hold the place.

    Dagster's pool does the same for runs of its queue; this also covers runs that were started around it.
    """
    home.warehouse.mkdir(parents=True, exist_ok=True)
    with (home.warehouse / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def open_marts(home: Home) -> duckdb.DuckDBPyConnection:
    """Return a read-only connection to the published marts, in UTC.

    Raises WarehouseError when nothing was published yet.
    """
    target = published(home)
    if target is None:
        raise WarehouseError("no marts are published yet; run `arguslab up` and wait for the first refresh")
    # The generation's own path, not the symlink: DuckDB keeps one instance a path, and the link moves.
    con = duckdb.connect(str(target), read_only=True)
    con.execute("set TimeZone = 'UTC'")
    return con


def published(home: Home) -> Path | None:
    """Return the generation that readers see now, or None."""
    try:
        return home.marts.resolve(strict=True)
    except FileNotFoundError:
        return None


def generations(home: Home) -> list[Path]:
    """Return every published file still on disk, oldest first."""
    found = (path for path in home.warehouse.glob("marts-*.duckdb") if _GENERATION.fullmatch(path.name))
    return sorted(found, key=lambda path: path.stem.rsplit("-", 1)[1])  # by number: a clock may jump back


def _copy_tables(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows: dict[str, int] = {}
    found = con.execute(
        "select table_name from duckdb_tables() where database_name = 'build' and schema_name = 'main' "
        "and not internal order by table_name"
    ).fetchall()
    for (table,) in found:
        con.execute(f'create table pub.main."{table}" as from build.main."{table}"')
        rows[table] = con.execute(f'select count(*) from pub.main."{table}"').fetchall()[0][0]  # noqa: S608  a catalog name
    return rows


def _copy_views(con: duckdb.DuckDBPyConnection) -> None:
    """Create the views again where readers will bind them; one that reads another is tried until that one is there."""
    con.execute("create schema pub.live")
    waiting = con.execute(
        "select sql from duckdb_views() where database_name = 'build' and schema_name in ('main', 'live') "
        "and not internal order by schema_name desc, view_name"
    ).fetchall()
    con.execute("use pub")
    while waiting:
        later = []
        for (sql,) in waiting:
            try:
                con.execute(sql)
            except duckdb.CatalogException:
                later.append((sql,))
        if len(later) == len(waiting):
            con.execute(later[0][0])  # says which name is missing
        waiting = later
    con.execute("use memory")


def _copy_comments(con: duckdb.DuckDBPyConnection) -> None:
    for kind, catalog in (("table", "duckdb_tables"), ("view", "duckdb_views")):
        described = con.execute(
            f"select schema_name, {kind}_name, comment from {catalog}() where database_name = 'build' "  # noqa: S608
            "and schema_name in ('main', 'live') and comment is not null and not internal"
        ).fetchall()
        for schema, name, comment in described:
            if kind == "table" and schema != "main":
                continue
            con.execute(f"comment on {kind} pub.{schema}.\"{name}\" is '{_quoted(comment)}'")
    columns = con.execute(
        "select c.table_name, c.column_name, c.comment from duckdb_columns() c "
        "where c.database_name = 'build' and c.schema_name = 'main' and c.comment is not null and not c.internal"
    ).fetchall()
    for table, column, comment in columns:
        con.execute(f'comment on column pub.main."{table}"."{column}" is \'{_quoted(comment)}\'')


def _next_name(home: Home, now: datetime) -> str:
    last = max((int(m[2]) for path in generations(home) if (m := _GENERATION.fullmatch(path.name))), default=0)
    return f"marts-{now.astimezone(UTC):%Y%m%dT%H%M%S}-{last + 1:06d}.duckdb"


def _flip(home: Home, target: Path) -> None:
    link = home.marts.with_name(f".{home.marts.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(target.relative_to(home.marts.parent))
    link.replace(home.marts)
    _sync(home.marts.parent)


def _prune(home: Home, keep: int) -> None:
    shown = published(home)
    for path in generations(home)[: -max(keep, 1)]:
        if path != shown:
            path.unlink(missing_ok=True)


def _sweep_temporaries(home: Home) -> None:
    for leftover in home.warehouse.glob(".marts-*"):
        leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
