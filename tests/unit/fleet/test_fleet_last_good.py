"""An invalid edit keeps the last valid text running."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.fleet.load import load_or_last_good
from pipelines.fleet.problems import FleetError

START = datetime(2026, 11, 1, tzinfo=UTC)
GOOD = "interval: 7m\nproviders: {x: {type: ollama}}\n"


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


def test_a_broken_edit_keeps_the_last_good_fleet_and_tells_since_when(tmp_path: Path) -> None:
    file, state, clock = tmp_path / "fleet.yaml", tmp_path / "state", Clock()
    file.write_text(GOOD)
    first = load_or_last_good(file, state, now=clock)
    assert (first.state, first.valid_since, first.invalid_since) == ("current", START + timedelta(minutes=1), None)
    file.write_text("interval: [\n")
    broken = load_or_last_good(file, state, now=clock)
    assert broken.state == "last_good"
    assert broken.fleet == first.fleet
    assert broken.text_hash == first.text_hash
    assert broken.problems[0].severity == "error"
    assert broken.invalid_since == START + timedelta(minutes=2)
    again = load_or_last_good(file, state, now=clock)
    assert (again.invalid_since, again.valid_since) == (broken.invalid_since, first.valid_since)
    file.write_text(GOOD)
    mended = load_or_last_good(file, state, now=clock)
    assert (mended.is_current, mended.valid_since, mended.invalid_since) == (True, first.valid_since, None)
    file.write_text("interval: [\n")
    assert load_or_last_good(file, state, now=clock).invalid_since != broken.invalid_since


def test_a_deleted_file_keeps_the_last_good_fleet_too(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(GOOD)
    load_or_last_good(file, tmp_path / "state")
    file.unlink()
    assert load_or_last_good(file, tmp_path / "state").fleet.interval == timedelta(minutes=7)


def test_without_a_last_good_fleet_the_problems_are_raised(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("interval: soon\n")
    with pytest.raises(FleetError, match="not a duration"):
        load_or_last_good(file, tmp_path / "state")


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"text": 1}', '{"text": "a", "text_hash": "b", "valid_since": "c"}']
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: str) -> None:
    file, state = tmp_path / "fleet.yaml", tmp_path / "state"
    file.write_text("interval: soon\n")
    state.mkdir()
    (state / "fleet.last-good.json").write_text(damage)
    with pytest.raises(FleetError):
        load_or_last_good(file, state)


def test_an_unchanged_file_is_not_written_again_and_only_its_owner_may_read_the_copy(tmp_path: Path) -> None:
    file, state = tmp_path / "fleet.yaml", tmp_path / "state"
    file.write_text(GOOD)
    load_or_last_good(file, state)
    kept = state / "fleet.last-good.json"
    before = kept.stat()
    load_or_last_good(file, state)
    assert kept.stat().st_ino == before.st_ino
    assert before.st_mode & 0o077 == 0
    assert json.loads(kept.read_text())["text"] == GOOD
    assert [file.name for file in state.iterdir()] == [kept.name]


def test_a_state_folder_that_cannot_be_written_warns_and_goes_on(tmp_path: Path) -> None:
    file, state = tmp_path / "fleet.yaml", tmp_path / "state"
    file.write_text(GOOD)
    state.write_text("a file in the folder's place")
    status = load_or_last_good(file, state)
    assert status.is_current
    assert "cannot be kept" in status.problems[-1].message
