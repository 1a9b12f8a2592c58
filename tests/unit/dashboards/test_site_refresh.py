"""Which pages a refresh draws, and what it leaves alone: the fleet's always, an endpoint's when its turn has come."""

import dataclasses
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.site import SiteInputs, endpoint_data, endpoint_page, render_site, states
from pipelines.reports import (
    OLDEST,
    PAGES_A_REFRESH,
    due_endpoints,
    last_states,
    pages_written_at,
    with_endpoints,
    write_site,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def names(count: int) -> list[str]:
    return [f"a/{at:03d}" for at in range(count)]


def up(count: int) -> dict[str, str]:
    return dict.fromkeys(names(count), "UP")


def test_a_small_fleet_is_drawn_whole_every_time() -> None:
    fleet = up(PAGES_A_REFRESH)
    assert due_endpoints(fleet, fleet, dict.fromkeys(fleet, NOW - FIVE), now=NOW, every=FIVE) == set(fleet)


def test_the_oldest_pages_of_a_large_fleet_are_drawn_first() -> None:
    fleet = up(50)
    written = {name: NOW - timedelta(minutes=at) for at, name in enumerate(fleet)}
    assert due_endpoints(fleet, fleet, written, now=NOW, every=FIVE) == set(names(50)[-PAGES_A_REFRESH:])


def test_a_page_is_drawn_at_once_when_it_is_missing_or_its_state_changed() -> None:
    fleet, written = up(50), dict.fromkeys(names(50), NOW - FIVE)
    del written["a/030"]
    last = fleet | {"a/031": "DOWN"}
    del last["a/032"]
    due = due_endpoints(fleet, last, written, now=NOW, every=FIVE)
    assert {"a/030", "a/031", "a/032"} <= due
    assert len(due) == PAGES_A_REFRESH, "they are part of the share, not on top of it"


def test_every_change_is_drawn_however_many_there_are() -> None:
    fleet, written = up(50), dict.fromkeys(names(50), NOW - FIVE)
    outage = dict.fromkeys(names(40), "DOWN")
    assert due_endpoints(fleet | outage, fleet, written, now=NOW, every=FIVE) == set(outage)


def test_a_page_that_would_get_too_old_and_one_from_the_future_are_drawn() -> None:
    fleet, written = up(100), dict.fromkeys(names(100), NOW - timedelta(minutes=54))
    written |= dict.fromkeys(names(30), NOW - timedelta(minutes=56)) | {"a/099": NOW + timedelta(days=1)}
    assert due_endpoints(fleet, fleet, written, now=NOW, every=FIVE) == {*names(30), "a/099"}


def drawn_over_hours(count: int, every: timedelta, late: timedelta) -> tuple[list[int], timedelta]:
    """Return how many pages each refresh of three hours drew, and the greatest age that a page reached."""
    fleet, now = up(count), NOW
    written = dict.fromkeys(fleet, NOW)
    drawn, oldest = [], timedelta()
    while now < NOW + timedelta(hours=3):
        now += every + (late if len(drawn) % 3 else timedelta())
        oldest = max(oldest, *(now - at for at in written.values()))
        due = due_endpoints(fleet, fleet, written, now=now, every=every)
        drawn.append(len(due))
        written |= dict.fromkeys(due, now)
    return drawn, oldest


@given(st.integers(2, 400), st.integers(1, 90), st.integers(0, 40))
def test_no_page_gets_older_than_an_hour_or_one_refresh(count: int, minutes: int, seconds: int) -> None:
    every, late = timedelta(minutes=minutes), timedelta(seconds=seconds)
    assert drawn_over_hours(count, every, late)[1] <= max(OLDEST, every) + late


@pytest.mark.parametrize(("count", "most"), [(50, 12), (100, 12), (200, 19), (400, 37)])
@pytest.mark.parametrize("seconds", [0, 15])
def test_the_pages_of_a_fleet_are_spread_over_the_refreshes_of_an_hour(count: int, most: int, seconds: int) -> None:
    assert max(drawn_over_hours(count, FIVE, timedelta(seconds=seconds))[0]) == most


def test_a_site_of_some_endpoints_has_every_other_file(inputs: SiteInputs, site: dict[str, bytes]) -> None:
    chosen = "azure-eu/gpt-4.1-mini-sweden"
    some = render_site(inputs, render_endpoints={chosen})
    own = {path for path in site if path.startswith(("endpoints/", "data/endpoints/"))}
    mine = {path for path in own if path == endpoint_page(chosen) or path.startswith(endpoint_data(chosen))}
    assert len(mine) > 3
    assert set(some) == set(site) - own | mine
    assert all(some[path] == site[path] for path in some)


def test_a_kept_endpoint_loses_nothing_and_a_gone_one_everything(tmp_path: Path, inputs: SiteInputs) -> None:
    write_site(tmp_path, render_site(inputs))
    (tmp_path / endpoint_data("openai/gpt-5.1") / "old.csv").write_text("a chart that is no more")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    gone, drawn = "groq/qwen3-32b", "openai/gpt-5.1"
    frame = inputs.frames["fleet_status"]
    left = inputs.frames | {"fleet_status": frame.filter(frame["endpoint_id"] != gone)}
    later = dataclasses.replace(inputs, frames=left, generation="20261120T180000Z")
    shown = states(later)
    kept = {path for name in shown.keys() - {drawn} for path in (endpoint_page(name), endpoint_data(name))}
    files = render_site(later, render_endpoints={drawn})
    written, removed = write_site(tmp_path, files, kept)

    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    lost = {path.relative_to(tmp_path).as_posix() for path in before.keys() - after}
    assert removed == len(lost) > 3
    assert f"{endpoint_data(drawn)}old.csv" in lost, "what a drawn endpoint no longer has goes"
    lost.remove(f"{endpoint_data(drawn)}old.csv")
    assert endpoint_page(gone) in lost
    assert f"badges/{Path(endpoint_page(gone)).stem}.svg" in lost
    assert all(Path(endpoint_page(gone)).stem in path for path in lost)
    stays = [path for path in before if path.relative_to(tmp_path).as_posix().startswith(tuple(kept))]
    assert len(stays) > 30
    assert all(path.stat().st_mtime_ns == before[path] for path in stays), "not even written again"
    assert b"20261120T180000Z" in (tmp_path / endpoint_page(drawn)).read_bytes()
    assert 0 < written < 60


def test_the_last_site_tells_its_states_and_the_age_of_its_pages(tmp_path: Path, inputs: SiteInputs) -> None:
    assert last_states(tmp_path) == {}
    shown = states(inputs)
    chosen = sorted(shown)[:2]
    write_site(tmp_path, render_site(inputs, render_endpoints=chosen))
    assert last_states(tmp_path) == shown
    os.utime(tmp_path / endpoint_page(chosen[0]), (NOW.timestamp(), NOW.timestamp()))
    written = pages_written_at(tmp_path, shown)
    assert set(written) == set(chosen)
    assert written[chosen[0]] == NOW


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"endpoints": 3}', "null", "\ufffd"])
def test_a_broken_or_foreign_status_file_means_that_every_page_is_drawn(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text, encoding="utf-8")
    assert last_states(tmp_path) == {}


def test_pages_of_another_design_are_all_drawn_again(tmp_path: Path, inputs: SiteInputs) -> None:
    write_site(tmp_path, render_site(inputs, render_endpoints=()))
    status = json.loads((tmp_path / "status.json").read_bytes())
    (tmp_path / "status.json").write_text(json.dumps(status | {"design": "0123456789abcdef"}))
    assert last_states(tmp_path) == {}


def test_only_the_pages_that_are_drawn_are_asked_for(marts: duckdb.DuckDBPyConnection, inputs: SiteInputs) -> None:
    chosen = "openai/gpt-5.1"
    found = with_endpoints(marts, dataclasses.replace(inputs, endpoint_frames={}), [chosen])
    assert set(found.endpoint_frames) == {chosen}
    assert {key: frame.height for key, frame in found.endpoint_frames[chosen].items()} == {
        key: frame.height for key, frame in inputs.endpoint_frames[chosen].items()
    }
