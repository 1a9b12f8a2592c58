"""The transitions of one tracker, attempt by attempt and verdict by verdict. Pure; knows nothing of notices.

Source: the incident state machine of the project's probing reference, section 4.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.notify.incidents.state import Tracker
from pipelines.notify.model import State
from pipelines.notify.promises.catalog import Promise

FLAP_COUNT, FLAP_WINDOW = 4, timedelta(minutes=30)
CALM_COUNT, CALM_WINDOW = 2, timedelta(hours=1)

_WELL: tuple[State, ...] = ("UNKNOWN", "UP", "SUSPECT")


@dataclass(frozen=True)
class Thresholds:
    """How many attempts in a row decide."""

    fail: int = 3
    recover: int = 2

    @property
    def tail(self) -> int:
        """Return how many attempts are looked at when maintenance ends."""
        return max(self.fail, self.recover)


def attempt(tracker: Tracker, symbol: str, at: datetime, limits: Thresholds, *, is_clean: bool) -> Tracker:
    """Return the tracker after one attempt: ``G`` good, ``B`` bad; anything else is excluded and changes nothing.

    ``is_clean`` says that no window rule holds the endpoint down.
    """
    if tracker.is_maintained:
        return tracker.model_copy(update={"tail": (tracker.tail + symbol)[-limits.tail :]} if symbol in "GB" else {})
    if symbol == "G":
        return _good(tracker, at, limits, is_clean=is_clean)
    return _bad(tracker, at, limits) if symbol == "B" else tracker


def _good(tracker: Tracker, at: datetime, limits: Thresholds, *, is_clean: bool) -> Tracker:
    update: dict[str, object] = {"good": tracker.good + 1, "bad": 0, "last_good_at": at}
    if tracker.first_bad_at is not None:
        update["attempts"] = tracker.attempts + 1
    if tracker.core in ("DOWN", "DEGRADED"):
        update |= {"core": "RECOVERING", "good": 1, "fell_to": tracker.core}
    elif tracker.core in ("UNKNOWN", "SUSPECT"):
        return well(tracker, at)
    elif tracker.core == "UP":
        return tracker
    return settle(tracker.model_copy(update=update), at, limits, is_clean=is_clean)


def _bad(tracker: Tracker, at: datetime, limits: Thresholds) -> Tracker:
    bad = tracker.bad + 1
    update: dict[str, object] = {
        "bad": bad,
        "good": 0,
        "first_bad_at": tracker.first_bad_at or at,
        "attempts": tracker.attempts + 1,
        "failed": tracker.failed + 1,
    }
    if tracker.core == "RECOVERING":
        update["core"] = tracker.fell_to
    elif tracker.core in ("UNKNOWN", "UP"):
        update["core"] = "SUSPECT"
    after = tracker.model_copy(update=update)
    return fall(after, "DOWN", at) if bad >= limits.fail and after.core != "DOWN" else after


def settle(tracker: Tracker, at: datetime, limits: Thresholds, *, is_clean: bool) -> Tracker:
    """Return the tracker that is well again if it recovered long enough and no window rule objects."""
    if tracker.core == "RECOVERING" and tracker.good >= limits.recover and is_clean:
        return well(tracker, at)
    return tracker


def fall(tracker: Tracker, to: State, at: datetime, *, since: datetime | None = None) -> Tracker:
    """Return the tracker that is ``to`` (DOWN or DEGRADED) now; ``since`` is its first failure where that is known."""
    first = min((moment for moment in (tracker.first_bad_at, since) if moment), default=at)
    update: dict[str, object] = {"core": to, "fell_to": to, "first_bad_at": tracker.first_bad_at or at}
    if tracker.opened is None:
        update["first_bad_at"] = first
    if to == "DOWN" and tracker.core in _WELL:
        update["flips"] = (*tracker.flips, at)
    return tracker.model_copy(update=update)


def well(tracker: Tracker, at: datetime) -> Tracker:
    """Return the tracker that is UP; counters are cleared, transitions remembered for an hour."""
    flips = (*tracker.flips, at) if tracker.core == "RECOVERING" and tracker.fell_to == "DOWN" else tracker.flips
    return tracker.model_copy(
        update={
            "core": "UP",
            "bad": 0,
            "good": 0,
            "attempts": 0,
            "failed": 0,
            "mix": {},
            "first_bad_at": None,
            "last_good_at": None,
            "flips": flips,
        }
    )


def flap(tracker: Tracker, at: datetime) -> Tracker:
    """Return the tracker with old transitions forgotten, and flapping begun or ended."""
    # A transition in the future was stamped before the clock was set back; it proves nothing.
    flips = tuple(flip for flip in tracker.flips if timedelta(0) <= at - flip < CALM_WINDOW)
    recent = sum(at - flip < FLAP_WINDOW for flip in flips)
    is_flapping = len(flips) >= CALM_COUNT if tracker.is_flapping else recent >= FLAP_COUNT
    if flips == tracker.flips and is_flapping == tracker.is_flapping:
        return tracker
    return tracker.model_copy(update={"flips": flips, "is_flapping": is_flapping})


def enter_maintenance(tracker: Tracker) -> Tracker:
    """Return the tracker under maintenance: attempts are only remembered."""
    return tracker.model_copy(update={"is_maintained": True, "tail": ""})


def leave_maintenance(tracker: Tracker, at: datetime, limits: Thresholds) -> Tracker:
    """Return the tracker judged again from the last attempts that were made during maintenance."""
    # A spell of failures that began before the window and had opened nothing does not outlive it.
    base = tracker if tracker.opened else well(tracker.model_copy(update={"core": "UP"}), at)
    after = base.model_copy(update={"is_maintained": False, "tail": "", "bad": 0, "good": 0})
    if after.core == "RECOVERING":
        after = after.model_copy(update={"core": after.fell_to})
    for symbol in tracker.tail:
        after = attempt(after, symbol, at, limits, is_clean=True)
    return after


def judged(tracker: Tracker, verdict: str, promise: Promise, at: datetime, since: datetime) -> Tracker:
    """Return the tracker of a promise that verdicts drive; ``insufficient`` changes nothing."""
    if verdict == "broken":
        fallen = {
            "core": promise.opens_as,
            "fell_to": promise.opens_as,
            "good": 0,
            "first_bad_at": tracker.first_bad_at or since,
        }
        return tracker.model_copy(update=fallen)
    if verdict == "insufficient" or tracker.core in ("UP", "UNKNOWN"):
        return tracker
    good = tracker.good + 1
    if good >= promise.recover_after:
        return Tracker(opened=tracker.opened)
    return tracker.model_copy(update={"core": "RECOVERING", "good": good, "last_good_at": at})
