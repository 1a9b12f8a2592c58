"""The only door for facts: validated rows in, immutable Parquet files out, compacted once their day has closed.

``landing/<table>/date=YYYY-MM-DD/<file id>.parquet`` holds what arrives, ``archive/<table>/date=YYYY-MM-DD.parquet``
closed days. A day may be in both for a while; whoever reads de-duplicates on the table's key, as `read` does.
"""

import errno
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

import fsspec
import polars as pl
from fsspec.implementations.local import LocalFileSystem
from pandera.errors import SchemaErrors

from pipelines.schemas import TABLES, Table, polars_schema

GRACE = timedelta(hours=1)
"""How long small files outlive their archive, so that a reader that listed them can still open them."""

_SOURCES = "arguslab.sources"


class LandingError(Exception):
    """Facts could not be written or read; the message says what to do next."""


@dataclass(frozen=True)
class Landed:
    """What one append did."""

    table: str
    rows: int
    files: tuple[str, ...]
    rejected: int = 0
    rejected_file: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compacted:
    """What one compaction of one table did."""

    table: str
    days: tuple[date, ...] = ()
    rows: int = 0
    files_removed: int = 0


@dataclass(frozen=True)
class Landing:
    """Append, read and compact the landed tables under one root: a folder, or any URL that fsspec knows."""

    root: str
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def prepare(self) -> None:
        """Write each table's zero-row file, so that a glob over an empty table finds its columns."""
        for table in TABLES.values():
            path = f"{self._archive(table)}/schema.parquet"
            frame = pl.DataFrame(schema=polars_schema(table))
            if not self._fs.exists(path) or pl.read_parquet_schema(BytesIO(self._fs.cat_file(path))) != frame.schema:
                self._write(path, _parquet(frame))

    def append(self, name: str, rows: Sequence[dict[str, Any]] | pl.DataFrame, file_id: str) -> Landed:
        """Land rows of one table; the same ``file_id`` again replaces the same file, so a re-run adds nothing.

        Rows that break the table's contract are kept beside it as JSON (``rejected/``) and counted, the others land.
        Raises LandingError when the disk refuses, with nothing half-written left behind.
        """
        table = TABLES[name]
        frame = _typed(table, rows)
        good, bad, reasons = _validated(table, frame)
        rejected_file = None
        if not bad.is_empty():
            rejected_file = f"{self._base}/rejected/{name}/{file_id}.json"
            self._write(rejected_file, bad.write_json().encode())
        files = []
        days = good.with_columns(pl.col(table.at).dt.convert_time_zone("UTC").dt.date().alias("__day"))
        for (day,), part in sorted(days.partition_by("__day", as_dict=True, include_key=False).items()):
            path = f"{self._landing(table)}/date={day}/{file_id}.parquet"
            self._write(path, _parquet(part))
            files.append(path)
        return Landed(name, good.height, tuple(files), bad.height, rejected_file, reasons)

    def read(
        self,
        name: str,
        start: date | None = None,
        end: date | None = None,
        *,
        columns: Sequence[str] | None = None,
        written_since: datetime | None = None,
    ) -> pl.LazyFrame:
        """Return the table's rows of the days from ``start`` to ``end`` (both included), each key once.

        ``columns`` narrows what is read (the key always is); ``written_since`` leaves out files last written before.
        A file that is no Parquet is moved to ``quarantine/`` and left out; `quarantined` tells of it.
        """
        table = TABLES[name]
        whole = polars_schema(table)
        wanted = [column for column in whole if columns is None or column in columns or column == table.key]
        schema = pl.Schema({column: whole[column] for column in wanted})
        for attempt in range(3):
            files = [path for day, path in self._files(table) if _within(day, start, end)]
            if written_since is not None:
                files = [path for path in files if self._written(path) >= written_since]
            if not files:
                return pl.LazyFrame(schema=schema)
            try:
                frame = self._scan(files, table).select(wanted).collect()
            except (pl.exceptions.ComputeError, OSError, pl.exceptions.PolarsError):
                # Either a file is broken, or a compaction removed what we had listed: look again.
                if not self.quarantine_broken(name) and attempt == 2:
                    raise
                continue
            return frame.unique(table.key, keep="last", maintain_order=True).lazy()
        raise LandingError(f"{name}: the files changed under three readings in a row; run it again")

    def days(self, name: str) -> list[date]:
        """Return the days that a table has rows of, oldest first."""
        return sorted({day for day, _ in self._files(TABLES[name])})

    def compact(self, name: str, *, keep_open: int = 1) -> Compacted:
        """Fold the small files of closed days into one archive file a day; remove small files archived an hour ago.

        ``keep_open`` is the number of newest UTC days left alone. Safe to kill at any line and to run twice at once.
        """
        table = TABLES[name]
        today = self.now().astimezone(UTC).date()
        days, rows, removed = [], 0, 0
        for day, paths in self._landing_days(table).items():
            if (today - day).days < keep_open:
                continue
            archive = f"{self._archive(table)}/date={day}.parquet"
            archived = self._archived_sources(archive)
            sources = {self._identity(path) for path in paths}
            if sources - archived:
                old = [archive] if archived else []
                frame = self._scan([*old, *paths], table).collect()
                frame = frame.unique(table.key, keep="last", maintain_order=True).sort(_order(table))
                self._write(archive, _parquet(frame, metadata={_SOURCES: json.dumps(sorted(archived | sources))}))
                days.append(day)
                rows += frame.height
            elif self._age(archive) >= GRACE:
                for path in paths:
                    self._fs.rm_file(path)
                    removed += 1
                with suppress(OSError):
                    self._fs.rmdir(f"{self._landing(table)}/date={day}")
        return Compacted(name, tuple(days), rows, removed)

    def expire(self, name: str, before: date) -> int:
        """Remove the days of a table before a date; return how many files went."""
        gone = [path for day, path in self._files(TABLES[name]) if day < before]
        for path in gone:
            with suppress(FileNotFoundError):
                self._fs.rm_file(path)
        return len(gone)

    def quarantine_broken(self, name: str) -> list[str]:
        """Move files that are not whole Parquet out of the way; return where they went."""
        moved = []
        for _, path in self._files(TABLES[name]):
            if self._is_whole(path):
                continue
            target = f"{self._base}/quarantine/{name}/{uuid.uuid4().hex[:8]}-{_name(path)}"
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            with suppress(FileNotFoundError):
                self._fs.mv(path, target)
                moved.append(target)
        return moved

    def quarantined(self) -> list[str]:
        """Return the files in quarantine, of every table."""
        return sorted(str(path) for path in self._fs.glob(f"{self._base}/quarantine/*/*"))

    def rejected(self, name: str) -> list[str]:
        """Return the files of rejected rows of one table."""
        return sorted(str(path) for path in self._fs.glob(f"{self._base}/rejected/{name}/*.json"))

    @property
    def _fs(self) -> Any:
        return fsspec.core.url_to_fs(self.root)[0]

    @property
    def _base(self) -> str:
        return str(fsspec.core.url_to_fs(self.root)[1]).rstrip("/")

    def _landing(self, table: Table) -> str:
        return f"{self._base}/landing/{table.name}"

    def _archive(self, table: Table) -> str:
        return f"{self._base}/archive/{table.name}"

    def _landing_days(self, table: Table) -> dict[date, list[str]]:
        found: dict[date, list[str]] = {}
        for path in sorted(self._fs.glob(f"{self._landing(table)}/date=*/*.parquet")):
            day = _day(path.rsplit("/", 2)[1])
            if day is not None:
                found.setdefault(day, []).append(path)
        return found

    def _files(self, table: Table) -> Iterator[tuple[date, str]]:
        for path in sorted(self._fs.glob(f"{self._archive(table)}/date=*.parquet")):
            day = _day(_name(path).removesuffix(".parquet"))
            if day is not None:
                yield day, path
        for day, paths in self._landing_days(table).items():
            for path in paths:
                yield day, path

    def _scan(self, files: Iterable[str], table: Table) -> pl.LazyFrame:
        frame = pl.scan_parquet(
            [self._fs.unstrip_protocol(path) if not self._is_local else path for path in files],
            schema=polars_schema(table),
            missing_columns="insert",
            extra_columns="ignore",
            hive_partitioning=False,
            glob=False,
        )
        return frame.with_columns(pl.col(name).fill_null(value) for name, value in table.absent.items())

    def _archived_sources(self, archive: str) -> set[str]:
        if not self._fs.exists(archive):
            return set()
        with self._fs.open(archive, "rb") as file:
            return set(json.loads(pl.read_parquet_metadata(file).get(_SOURCES, "[]")))

    def _identity(self, path: str) -> str:
        """Name a small file so that one written again under the same name counts as new."""
        info = self._fs.info(path)
        return f"{_name(path)}:{info['size']}:{info.get('mtime') or info.get('ETag') or info.get('LastModified')}"

    def _written(self, path: str) -> datetime:
        try:
            modified: datetime = self._fs.modified(path)
        except FileNotFoundError:  # compacted away since it was listed: its rows are in the archive, which is newer
            return datetime.min.replace(tzinfo=UTC)
        return modified.astimezone(UTC)

    def _age(self, path: str) -> timedelta:
        return self.now() - self._written(path)

    def _is_whole(self, path: str) -> bool:
        try:
            size = self._fs.size(path)
            if size < 12:
                return False
            head, tail = self._fs.cat_file(path, 0, 4), self._fs.cat_file(path, size - 4, size)
        except FileNotFoundError:
            return True
        if head != b"PAR1" or tail != b"PAR1":
            return False
        try:
            with self._fs.open(path, "rb") as file:
                pl.read_parquet_schema(file)
        except (pl.exceptions.PolarsError, OSError):
            return False
        return True

    @property
    def _is_local(self) -> bool:
        return isinstance(self._fs, LocalFileSystem)

    def _write(self, path: str, data: bytes) -> None:
        folder = path.rsplit("/", 1)[0]
        try:
            self._fs.makedirs(folder, exist_ok=True)
            if self._is_local:
                write_atomically(path, data)
            else:
                self._fs.pipe_file(path, data)  # one PUT: an object store shows all of it or nothing
        except OSError as error:
            raise LandingError(f"cannot write {path}: {_remedy(error)}") from error


def write_atomically(path: str, data: bytes, mode: int = 0o644) -> None:
    """Write a local file so that every reader, and a crash at any line, finds the old or the new content whole."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex[:8]}.tmp")  # noqa: PTH118  paths come from fsspec as text
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _typed(table: Table, rows: Sequence[dict[str, Any]] | pl.DataFrame) -> pl.DataFrame:
    schema = polars_schema(table)
    if isinstance(rows, pl.DataFrame):
        frame = rows
    else:
        unknown = {key for row in rows for key in row} - set(schema)
        if unknown:
            raise LandingError(f"{table.name} has no column {', '.join(sorted(unknown))}; see schemas.py")
        frame = pl.DataFrame(list(rows), schema=schema, strict=False, orient="row")
    missing = [name for name in schema if name not in frame.columns]
    if missing:
        raise LandingError(f"{table.name} lacks {', '.join(missing)}; see schemas.py")
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _validated(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Return (rows that keep the contract, rows that do not, why not)."""
    frame = frame.unique(table.key, keep="last", maintain_order=True)
    try:
        table.schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = pl.DataFrame(error.failure_cases)
        reasons = tuple(f"{row['column']}: {row['check']} ({row['failure_case']})" for row in cases.to_dicts()[:20])
        broken = {index for index in cases["index"].to_list() if index is not None}
        if not broken:  # the failure is not one of single rows: nothing can be trusted apart
            return frame.clear(), frame, reasons
        mask = pl.Series([at in broken for at in range(frame.height)])
        return frame.filter(~mask), frame.filter(mask), reasons
    return frame, frame.clear(), ()


def _parquet(frame: pl.DataFrame, metadata: dict[str, str] | None = None) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3, metadata=metadata)
    return buffer.getvalue()


def _order(table: Table) -> list[str]:
    """Sort archives so that one endpoint's rows lie together: smaller files, faster marts."""
    return [*(["endpoint_id"] if "endpoint_id" in polars_schema(table) else []), table.at, table.key]


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix("date="))
    except ValueError:
        return None


def _within(day: date, start: date | None, end: date | None) -> bool:
    return (start is None or day >= start) and (end is None or day <= end)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[1]


def _remedy(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space or shorten `retention:` in fleet.yaml, then run it again"
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return "the folder cannot be written; set ARGUSLAB_HOME to one that can, or fix its permissions"
    return str(error)
