"""One promise judged for one subject at one moment: the typed form of a landed ``evaluations`` row."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, Self

import polars as pl

from pipelines.fleet.models import Severity
from pipelines.fleet.units import Frozen

Finding = Literal["kept", "broken", "insufficient"]

COLUMNS = (
    "evaluation_id",
    "evaluated_at",
    "tick_id",
    "promise",
    "subject",
    "verdict",
    "severity",
    "attempts",
    "observed",
    "allowed",
    "unit",
    "n",
    "bad",
    "last_good_at",
    "detail_json",
    "is_demo",
)


class Verdict(Frozen):
    """A judgement; ``attempts`` and ``detail`` carry what the state machine needs beyond it."""

    promise: str
    subject: str
    evaluated_at: datetime
    tick_id: str | None = None
    verdict: Finding
    severity: Severity
    attempts: str = ""
    observed: float | None = None
    allowed: float | None = None
    unit: str = ""
    n: int = 0
    bad: int = 0
    last_good_at: datetime | None = None
    detail: dict[str, Any] = {}
    """``sentence`` (what a person reads), ``since`` (first bad, ISO), ``error_mix`` {outcome: count}; for
    ``endpoint_available`` also ``rule``, ``attempt_at`` (microseconds since 1970, one per attempt), ``errors``
    (the outcomes of its bad attempts, in order) and ``watermark`` [ISO, probe_id]."""
    is_demo: bool = False

    @property
    def batch(self) -> str:
        """Return what the verdicts of one evaluation of the fleet have in common: they are handed on together."""
        return self.tick_id or self.evaluated_at.astimezone(UTC).isoformat()

    @property
    def evaluation_id(self) -> str:
        """Return the row id: the same evaluation made again has the same one."""
        # A tick is judged once; judging it again after a crash must land as the same row.
        return hashlib.sha256(f"{self.batch}|{self.promise}|{self.subject}".encode()).hexdigest()[:24]

    def to_row(self) -> dict[str, Any]:
        """Return the row as ``schemas.Evaluation`` describes it."""
        fields = self.model_dump(exclude={"detail"})
        fields |= {"evaluation_id": self.evaluation_id, "detail_json": json.dumps(self.detail, sort_keys=True)}
        return {name: fields[name] for name in COLUMNS}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return the verdict of a landed row; columns that it does not know are ignored."""
        fields = {name: row[name] for name in COLUMNS if name not in ("evaluation_id", "detail_json")}
        return cls(**fields, detail=json.loads(row["detail_json"]))


def verdicts_of(evaluations: pl.DataFrame) -> list[Verdict]:
    """Return the verdicts of landed rows, oldest batch first, each evaluation once."""
    rows = evaluations.unique("evaluation_id", keep="first", maintain_order=True).sort(
        "evaluated_at", "tick_id", maintain_order=True
    )
    return [Verdict.from_row(row) for row in rows.iter_rows(named=True)]


def rows_of(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Return the rows to land."""
    return [verdict.to_row() for verdict in verdicts]
