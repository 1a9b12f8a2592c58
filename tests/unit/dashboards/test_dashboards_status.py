"""States, the headline, small pictures, figures in words, grains, colours."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashboards
from dashboards import numbers, svg, theme
from dashboards.chart import Query, readable_sql
from dashboards.grain import fit_grain, runs
from dashboards.status import SEVEREST, EndpointStatus, State, headline, state_of

NOW = datetime(2026, 11, 20, 17, 41, tzinfo=UTC)


def _row(**changes: Any) -> dict[str, Any]:
    usual = {
        "is_retired": False,
        "last_attempt_at": NOW - timedelta(minutes=4),
        "interval_s": 300,
        "is_last_counted_good": True,
        "is_last_maintained": False,
        "last_outcome": "ok",
    }
    return usual | changes


def _open(state: str) -> dict[str, Any]:
    return {"last_state": state, "summary": f"it is {state}", "incident_id": state, "started_at": NOW}


@pytest.mark.parametrize(
    ("row", "incidents", "state"),
    [
        (_row(), [], "UP"),
        (_row(), [_open("DOWN")], "DOWN"),
        (_row(), [_open("DEGRADED"), _open("DOWN")], "DOWN"),
        (_row(), [_open("RECOVERING"), _open("DEGRADED")], "DEGRADED"),
        (_row(is_last_counted_good=False), [], "SUSPECT"),
        (_row(is_last_counted_good=None), [], "UNKNOWN"),
        (_row(is_last_counted_good=False, is_last_maintained=True), [], "MAINTENANCE"),
        (_row(is_last_maintained=True), [_open("DOWN")], "DOWN"),
        (_row(last_attempt_at=None, is_last_counted_good=None), [], "UNKNOWN"),
        (_row(last_attempt_at=NOW - timedelta(seconds=690)), [], "UP"),
        (_row(last_attempt_at=NOW - timedelta(seconds=691)), [], "STALE"),
        (_row(is_retired=True), [_open("DOWN")], "RETIRED"),
        (_row(), [_open("UP")], "UP"),
    ],
)
def test_the_state_is_the_severest_open_incident_and_else_the_last_attempts(
    row: dict[str, Any], incidents: list[dict[str, Any]], state: State
) -> None:
    found, behind, reason = state_of(row, incidents, NOW)
    assert found == state
    assert reason
    assert (behind is not None) == (state in SEVEREST and bool(incidents))


def _endpoint(state: State, since: datetime | None = None) -> EndpointStatus:
    facts: dict[str, Any] = dict.fromkeys(EndpointStatus.__dataclass_fields__)
    return EndpointStatus(**facts | {"state": state, "since": since})


def test_the_headline_says_how_many_are_well_and_since_when_the_rest_is_not() -> None:
    fleet = [_endpoint("UP")] * 9 + [_endpoint("DOWN", NOW.replace(hour=14, minute=2))]
    assert headline(fleet, NOW) == "9 of 10 endpoints are keeping their promises; 1 is down since 14:02 UTC."
    older = [_endpoint("UP"), _endpoint("DOWN", NOW - timedelta(days=2)), _endpoint("DEGRADED"), _endpoint("RETIRED")]
    assert headline(older, NOW) == (
        "1 of 3 endpoints is keeping its promises; 1 is down since 18 Nov 17:41 UTC; 1 is degraded."
    )
    assert headline([_endpoint("UP")] * 2, NOW) == "All 2 endpoints are keeping their promises."
    assert headline([_endpoint("UP")], NOW) == "The endpoint keeps its promises."
    assert headline([_endpoint("UNKNOWN")] * 2, NOW) == ("None of 2 endpoints is shown to be up; 2 are not judged yet.")
    assert headline([], NOW) == "No endpoint is watched yet."


def test_a_strip_tells_good_bad_excluded_and_blind_hours_apart() -> None:
    hours = [
        {
            "hour_at": NOW.replace(minute=0) - timedelta(hours=back),
            "counted": counted,
            "good": good,
            "ttft_p50_ms": ttft,
        }
        for back, counted, good, ttft in ((0, 10, 10, 100.0), (1, 10, 7, 200.0), (2, 10, 1, None), (3, 0, 0, None))
    ]
    text = str(svg.day_strip(hours, NOW))
    assert re.findall(r'class="h-(\w+)"', text)[-5:] == ["blind", "excluded", "down", "partly", "up"]
    assert text.count("<polyline") == 1
    assert 'aria-label="Last 24 hours: 18 of 30 counted attempts good"' in text
    ElementTree.fromstring(text)


@pytest.mark.parametrize("state", list(svg.TONE))
def test_each_state_has_its_own_shape_and_a_badge_in_words(state: State) -> None:
    assert sum(svg.mark(state) == svg.mark(other) for other in svg.TONE) == 1
    badge = svg.badge("openai/gpt <b>", state)
    assert ElementTree.fromstring(badge).attrib["aria-label"] == f"openai/gpt <b>: {state}"


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_drawn_colour_stands_out_on_white_and_on_ink() -> None:
    tones = {*theme.SERIES, *theme.BLAME.values(), *theme.SEVERITY.values(), *theme.VERDICT.values()}
    for tone in tones:
        for name, background in theme.BACKGROUNDS.items():
            assert _contrast(tone, background) >= 3, (tone, name)


def test_text_on_the_page_has_aa_contrast_in_both_themes() -> None:
    css = (Path(dashboards.__file__).parent / "static" / "site.css").read_text()
    blocks = re.findall(r"color-scheme: (light|dark);(.*?)--shadow", css, re.DOTALL)
    assert [name for name, _ in blocks] == ["light", "dark", "dark"]
    for name, block in blocks:
        tones = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for text in ("ink", "soft", "accent", "good", "warn", "bad", "calm", "blind"):
            for ground in ("paper", "card", "raised"):
                assert _contrast(tones[text], tones[ground]) >= 4.5, (name, text, ground)
    assert blocks[1][1].split() == blocks[2][1].split()
    for fill in svg._BADGE.values():
        assert _contrast("#ffffff", fill) >= 4.5


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_wilson_interval_holds_its_share_and_stays_between_zero_and_one(good: int, bad: int) -> None:
    bounds = numbers.wilson(good, good + bad)
    if good + bad == 0:
        assert bounds is None
        return
    assert bounds is not None
    low, high = bounds
    assert 0 <= low <= good / (good + bad) + 1e-12
    assert good / (good + bad) - 1e-12 <= high <= 1
    assert low < high


@given(st.floats(0, 1))
def test_a_percentage_is_100_or_0_only_where_it_is_exactly_that(share: float) -> None:
    assert (numbers.percent(share) == "100 %") == (share == 1)
    assert (numbers.percent(share) == "0 %") == (share == 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.percent(0.999), "99.9 %"),
        (numbers.percent(0.99999), "99.999 %"),
        (numbers.percent(None), "–"),
        (numbers.interval(0.9615, 1.0), "96.2–100 %"),
        (numbers.milliseconds(312.4), "312 ms"),
        (numbers.milliseconds(1204), "1.20 s"),
        (numbers.milliseconds(None), "–"),
        (numbers.dollars(Decimal("0.00001234")), "$1.2e-05"),
        (numbers.dollars(Decimal(0)), "$0"),
        (numbers.dollars(1234.5), "$1,234.50"),
        (numbers.dollars(None), "–"),
        (numbers.span(59), "59 s"),
        (numbers.span(13_140), "3 h 39 min"),
        (numbers.span(86_400), "1 d"),
        (numbers.cell("cost_usd", Decimal("0.5")), "$0.5000"),
        (numbers.cell("uptime", 0.5), "50 %"),
        (numbers.cell("duration_s", 90.0), "1 min"),
        (numbers.cell("is_open", True), "yes"),
        (numbers.cell("started_on", date(2026, 1, 2)), "2026-01-02"),
        (numbers.cell("n", None), "–"),
        (numbers.heading("ttft_p50_ms"), "ttft p50 (ms)"),
    ],
)
def test_figures_read_as_people_write_them(text: str, expected: str) -> None:
    assert text == expected


def _grains(hours: int, days: int) -> pl.DataFrame:
    rows = [("hour", NOW + timedelta(hours=at)) for at in range(hours)]
    rows += [("day", NOW + timedelta(days=at)) for at in range(days)]
    return pl.DataFrame(rows, schema={"grain": pl.String, "at": pl.Datetime("us", "UTC")}, orient="row")


def test_where_not_even_days_fit_the_newest_ones_stay_and_the_note_counts_the_rest() -> None:
    fit = fit_grain(_grains(0, 90), points_per_row=3, limit=90)
    assert fit.frame.height == 30
    assert fit.frame["at"].min() == NOW + timedelta(days=60)
    assert "30 of 90" in fit.note


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 4), st.integers(4, 120))
def test_what_fits_never_exceeds_the_limit_and_is_the_finest_that_does(
    hours: int, days: int, points: int, limit: int
) -> None:
    frame = _grains(hours, days)
    fit = fit_grain(frame, points_per_row=points, limit=limit)
    assert fit.frame.height * points <= limit
    if hours and hours * points <= limit:
        assert fit.grain == "hour"
        assert fit.frame.height == hours
    assert fit.frame.is_empty() == (hours + days == 0)


@given(st.lists(st.integers(0, 400), unique=True).map(sorted))
def test_runs_cover_every_point_once_and_break_only_at_holes(hours: list[int]) -> None:
    moments = [NOW + timedelta(hours=hour) for hour in hours]
    found = list(runs(moments, timedelta(hours=1)))
    assert [at for run in found for at in run] == list(range(len(hours)))
    for before, after in pairwise(found):
        assert hours[after[0]] - hours[before[-1]] > 1


def test_sql_is_shown_with_literals_that_cannot_be_broken_out_of() -> None:
    query = Query("k", "select $name, $as_of, $n, $none, $other where x = $name")
    assert query.parameters == ("name", "as_of", "n", "none", "other")
    assert readable_sql(query.sql, {"name": "o'; drop", "as_of": NOW, "n": 3, "none": None}) == (
        "select 'o''; drop', timestamptz '2026-11-20 17:41:00.000000+00', 3, null, $other where x = 'o''; drop'"
    )
