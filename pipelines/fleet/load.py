"""An invalid edit of fleet.yaml keeps the last valid text running; what is kept is one small file under the home."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pipelines.fleet.models import Fleet
from pipelines.fleet.problems import FleetError, Problem
from pipelines.fleet.validate import Loaded, load_fleet, load_text

__all__ = ["FleetStatus", "Loaded", "load_fleet", "load_or_last_good", "load_text"]

FILE = "fleet.last-good.json"


@dataclass(frozen=True)
class FleetStatus:
    """The fleet that runs, since when, and what is wrong with the file."""

    fleet: Fleet
    state: Literal["current", "last_good"]
    text_hash: str
    """SHA-256 of the text that is running."""
    valid_since: datetime
    """When the running text was first seen valid."""
    invalid_since: datetime | None = None
    """When the file was first seen invalid; None while it is valid."""
    problems: tuple[Problem, ...] = ()
    """Errors of the file while ``last_good``; otherwise its warnings."""

    @property
    def is_current(self) -> bool:
        """Whether the file as it stands is what runs."""
        return self.state == "current"


def load_or_last_good(
    path: Path,
    state_dir: Path,
    *,
    env: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FleetStatus:
    """Return the fleet to run and how its file stands.

    Args:
        path: The user's fleet.yaml.
        state_dir: ``<home>/state``; holds the last valid text.
        env: See :func:`load_fleet`.
        now: The clock.

    Raises:
        FleetError: The file is invalid and no valid text was ever seen.
    """
    kept = _read(state_dir / FILE)
    try:
        loaded = load_fleet(path, env=env)
    except FleetError as error:
        return _fall_back(error, kept, state_dir, now)
    return _keep(loaded, path, kept, state_dir, now)


def _keep(
    loaded: Loaded, path: Path, kept: dict[str, Any], state_dir: Path, now: Callable[[], datetime]
) -> FleetStatus:
    same = kept.get("text_hash") == loaded.text_hash
    since = datetime.fromisoformat(kept["valid_since"]) if same else now()
    problems = loaded.problems
    if not same or kept.get("invalid_since"):
        try:
            text = path.read_bytes()
            # The file may have been edited since it was loaded; only what was judged is kept.
            if hashlib.sha256(text).hexdigest() == loaded.text_hash:
                record = {"text_hash": loaded.text_hash, "valid_since": since.isoformat(), "text": text.decode("utf-8")}
                _write(state_dir / FILE, record)
        except OSError as error:
            message = f"the last valid fleet cannot be kept: {error.strerror}"
            remedy = f"Make {state_dir} writable; until then an invalid edit stops the probes at the next start"
            problems = (*problems, Problem(message, remedy, file=str(path), severity="warning"))
    return FleetStatus(loaded.fleet, "current", loaded.text_hash, since, None, problems)


def _fall_back(error: FleetError, kept: dict[str, Any], state_dir: Path, now: Callable[[], datetime]) -> FleetStatus:
    if not kept:
        raise error
    try:
        loaded = load_text(kept["text"], file=str(state_dir / FILE))
    except FleetError:
        # Valid for an older version only: the file's own problems are what the user can mend.
        raise error from None
    invalid_since = kept.get("invalid_since")
    if invalid_since is None:
        invalid_since = now().isoformat()
        # On a full disk only the moment is lost; the fleet runs and the problems are reported all the same.
        with suppress(OSError):
            _write(state_dir / FILE, {**kept, "invalid_since": invalid_since})
    return FleetStatus(
        loaded.fleet,
        "last_good",
        loaded.text_hash,
        datetime.fromisoformat(kept["valid_since"]),
        datetime.fromisoformat(invalid_since),
        error.problems,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
        intact = hashlib.sha256(record["text"].encode("utf-8")).hexdigest() == record["text_hash"]
        datetime.fromisoformat(record["valid_since"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # Never kept, or damaged: both mean that there is no last good text.
    return record if intact else {}


def _write(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
