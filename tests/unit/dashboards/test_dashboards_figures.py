"""Each figure on small frames: what it draws, what it refuses to draw, and what it says about it."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from dashboards import attempts, cost, errors, incidents, latency, monitor, slo, uptime
from dashboards.chart import Chart
from dashboards.draw import points
from dashboards.embed import figure_json, plain
from dashboards.grain import LIMIT
from dashboards.pages import ENDPOINT_CHARTS, PAGES
from tests.unit.dashboards import sample_fleet

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTS = {chart.key: chart for chart in (*(chart for page in PAGES for chart in page.charts), *ENDPOINT_CHARTS)}
DRAWN = [chart for chart in CHARTS.values() if chart.figure]


def _day(name: str, on: date, counted: int, good: int, excluded: int = 0) -> dict[str, Any]:
    return {
        "endpoint_id": name,
        "provider": "p",
        "started_on": on,
        "attempts": counted + excluded,
        "counted": counted,
        "good": good,
        "bad": counted - good,
        "excluded": excluded,
    }


def _hour(at: datetime, p50: float | None, *, name: str = "p/m", grain: str = "hour", n: int = 12) -> dict[str, Any]:
    known = p50 is not None
    return {
        "grain": grain,
        "at": at,
        "endpoint_id": name,
        "provider": "p",
        "location": "here",
        "n_ttft": n,
        "ttft_p50_ms": p50,
        "ttft_p50_low_ms": p50 * 0.9 if known else None,
        "ttft_p50_high_ms": p50 * 1.1 if known else None,
        "ttft_p95_ms": p50 * 2 if known and n >= 20 else None,
        "ttft_slo_ms": 900.0,
    }


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def _notes(figure: Any) -> str:
    return " ".join((figure.layout.meta or {}).get("notes", []))


def test_the_calendar_keeps_bad_excluded_blind_and_unwatched_days_apart() -> None:
    first = date(2026, 11, 16)
    rows = [
        _day("p/a", first, 100, 100),
        _day("p/a", first + timedelta(1), 100, 0),
        _day("p/a", first + timedelta(2), 0, 0, excluded=100),
        _day("p/a", first + timedelta(4), 100, 97),
        _day("p/b", first + timedelta(3), 100, 85),
        _day("p/b", first + timedelta(4), 1000, 995),
    ]
    figure = uptime.uptime_calendar(_frame(rows))
    (heat,) = figure.data
    assert [list(line) for line in heat.z] == [[6, 2, 1, 0, 4], [None, None, None, 3, 5]]
    assert "not watched" in heat.text[1][0]
    assert "blind" in heat.text[0][3]
    assert "none of them counts" in heat.text[0][2]
    assert "n = 100, bad 3" in heat.text[0][4]
    assert "95 %: 91.5–99" in heat.text[0][4]
    assert "day" in _notes(figure)


def test_a_calendar_too_large_for_days_counts_weeks_again_instead_of_dropping() -> None:
    start = date(2026, 8, 24)
    rows = [
        _day(f"p/{number:03d}", start + timedelta(back), 10, 10 if back else 5)
        for number in range(80)
        for back in range(84)
    ]
    figure = uptime.uptime_calendar(_frame(rows))
    assert points(figure) == 80 * 12 <= LIMIT
    assert "week" in _notes(figure)
    assert "n = 70, bad 5" in figure.data[0].text[0][0]


def test_the_ranking_puts_the_worst_on_top_with_the_wilson_interval_as_error_bar() -> None:
    rows = [
        {"endpoint_id": "good", "availability_slo": 0.99, "counted": 96, "good": 96},
        {"endpoint_id": "bad", "availability_slo": 0.99, "counted": 96, "good": 48},
        {"endpoint_id": "never counted", "availability_slo": 0.99, "counted": 0, "good": 0},
    ]
    figure = uptime.uptime_ranking(_frame(rows))
    measured, promised = figure.data
    assert list(measured.y) == ["bad", "good"]
    assert measured.error_x.arrayminus[1] == pytest.approx(1 - 0.9615, abs=1e-4)  # 100 % of 96 is at least 96.2 %
    assert measured.error_x.array[1] == pytest.approx(0, abs=1e-9)
    assert list(promised.x) == [0.99, 0.99]
    assert list(figure.layout.yaxis.categoryarray) == ["good", "bad"]


def test_one_endpoints_uptime_has_a_bar_per_counted_day_and_a_week_of_room() -> None:
    figure = uptime.uptime_strip(
        _frame([_day("p/a", date(2026, 11, 20), 10, 9), _day("p/a", date(2026, 11, 19), 0, 0)])
    )
    (bars,) = figure.data
    assert list(bars.y) == [0.9]
    assert figure.layout.xaxis.range == ("2026-11-13 12:00", "2026-11-20 12:00")


def test_a_line_stops_where_measurements_are_missing_and_so_does_its_band() -> None:
    rows = [_hour(NOON + timedelta(hours=hour), 100.0 + hour) for hour in (0, 1, 2, 5, 6)]
    band, line = latency.ttft_over_time(_frame(rows)).data
    assert list(line.x) == [
        "2026-11-20 12:00",
        "2026-11-20 13:00",
        "2026-11-20 14:00",
        None,
        "2026-11-20 17:00",
        "2026-11-20 18:00",
    ]
    assert list(line.y) == [100, 101, 102, None, 105, 106]
    assert band.fill == "toself"
    assert band.y[6] is None  # one polygon per run
    assert [*band.y[:6], *band.y[7:]] == pytest.approx([110, 111.1, 112.2, 91.8, 90.9, 90, 115.5, 116.6, 95.4, 94.5])
    assert list(line.customdata[0]) == pytest.approx([90, 110, 12])


def test_a_median_without_an_interval_is_drawn_without_a_band() -> None:
    row = {**_hour(NOON, 100.0, n=3), "ttft_p50_low_ms": None, "ttft_p50_high_ms": None}
    frame = _frame([row]).with_columns(pl.col("ttft_p50_low_ms", "ttft_p50_high_ms").cast(pl.Float64))
    (line,) = latency.ttft_over_time(frame).data
    assert "markers" in line.mode


def test_the_hours_are_drawn_where_they_fit_and_the_marts_days_where_not() -> None:
    few = [_hour(NOON + timedelta(hours=hour), 100.0) for hour in range(48)]
    days = [_hour(NOON + timedelta(days=day), 777.0, grain="day") for day in range(3)]
    assert "per hour" in _notes(latency.ttft_over_time(_frame(few + days)))
    many = [_hour(NOON + timedelta(hours=hour), 100.0, name=f"p/{at}") for hour in range(168) for at in range(12)]
    figure = latency.ttft_over_time(_frame(many + days))
    assert "per day" in _notes(figure)
    assert set(figure.data[1].y) == {777.0}


def test_locations_are_named_only_where_there_are_several() -> None:
    one = [_hour(NOON + timedelta(hours=hour), 100.0) for hour in range(3)]
    two = [{**row, "location": "there"} for row in one]
    assert [trace.name for trace in latency.ttft_over_time(_frame(one)).data] == ["p/m 95 %", "p/m"]
    names = [trace.name for trace in latency.ttft_over_time(_frame(one + two)).data if trace.showlegend is not False]
    assert names == ["p/m · here", "p/m · there"]


def test_an_endpoints_latency_shows_p95_only_where_the_mart_has_one_and_the_promise() -> None:
    rows = [_hour(NOON, 100.0, n=12), _hour(NOON + timedelta(hours=1), 200.0, n=30)]
    figure = latency.endpoint_ttft(_frame(rows))
    assert [trace.name for trace in figure.data[1:]] == ["p50, 95 % interval", "p95"]
    assert list(figure.data[2].y) == [400.0]
    assert figure.layout.shapes[0].y0 == 900.0


def test_the_fastest_stand_on_top_and_the_endpoints_without_p95_are_counted() -> None:
    rows = [
        {**_hour(NOON, value, name=name, n=n), "ttft_p95_adj_ms": None, "is_ttft_p95_adj_unbounded": n > 20}
        for name, value, n in (("slow", 900.0, 50), ("fast", 90.0, 5), ("silent", None, 0))
    ]
    figure = latency.ttft_ranking(_frame(rows).with_columns(pl.col("ttft_p95_adj_ms").cast(pl.Float64)))
    assert list(figure.data[0].y) == ["fast", "slow"]
    assert [trace.name for trace in figure.data] == ["p50, 95 % interval", "p95", "promised p95"]
    assert list(figure.data[1].y) == ["slow"]
    assert "1 without a p95: fewer than 20" in _notes(figure)
    assert "1 without a p95 that counts failures" in _notes(figure)


def test_errors_stack_by_class_and_sum_the_rare_ones_by_name() -> None:
    rows = [
        {"grain": "hour", "at": NOON, "outcome": f"class {number}", "attempts": 100 - number, "blame": "provider"}
        for number in range(10)
    ]
    figure = errors.error_mix(_frame(rows))
    assert [trace.name for trace in figure.data][-1] == "other"
    assert sum(sum(trace.y) for trace in figure.data) == sum(row["attempts"] for row in rows)
    assert "3 rare outcomes" in _notes(figure)


def test_blame_is_split_per_endpoint_with_the_most_failures_on_top() -> None:
    rows = [
        {"endpoint_id": name, "blame": blame, "is_counted": True, "attempts": n}
        for name, blame, n in (("a", "provider", 3), ("b", "provider", 9), ("b", "us", 4))
    ]
    provider, us = errors.blame_split(_frame(rows)).data
    assert (provider.name, dict(zip(provider.y, provider.x, strict=True))) == ("provider", {"a": 3, "b": 9})
    assert (us.name, list(us.x)) == ("us", [4])


def _incident(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "promise": "availability",
        "subject": "p/a",
        "severity": "critical",
        "started_at": NOON - timedelta(hours=2),
        "resolved_at": NOON,
        "is_open": False,
        "summary": "3 in a row failed",
        "as_of": NOON + timedelta(hours=1),
    }
    return usual | changes


def test_an_open_incident_runs_to_the_end_of_the_data_and_is_striped() -> None:
    rows = [_incident(), _incident(subject="p/b", is_open=True, resolved_at=None)]
    figure = incidents.incident_timeline(_frame(rows))
    (bars,) = figure.data
    assert [hours / 3_600_000 for hours in bars.x] == [2, 3]
    assert list(bars.marker.pattern.shape) == ["", "/"]
    assert "open for 3 h" in bars.customdata[1][2]
    assert "still open" in _notes(figure)


def test_budgets_that_the_probe_rate_cannot_show_are_named_instead_of_drawn() -> None:
    common = {"availability_slo": 0.99, "counted": 1000, "bad": 5, "budget_bad": 10.0}
    rows = [
        {**common, "endpoint_id": "half", "budget_left": 0.5, "verdict": "kept", "is_supported": True},
        {**common, "endpoint_id": "gone", "budget_left": -3.0, "verdict": "broken", "is_supported": True},
        {**common, "endpoint_id": "rare", "budget_left": 1.0, "verdict": "unproven", "is_supported": False},
    ]
    figure = slo.budget_left(_frame(rows))
    assert {trace.name: list(trace.x) for trace in figure.data} == {"kept": [0.5], "broken": [-1.0]}
    assert list(figure.layout.yaxis.tickvals) == ["gone", "half"]
    assert "rare" in _notes(figure)
    assert "overspent by 300%" in figure.data[1].customdata[0][1]


def test_the_burn_down_is_one_step_line_per_endpoint() -> None:
    rows = [
        {
            "endpoint_id": name,
            "started_on": date(2026, 11, day),
            "bad": 1,
            "bad_cumulative": day,
            "budget_bad": 10.0,
            "budget_left": 1 - day / 10,
        }
        for name in ("a", "b")
        for day in (1, 2, 3)
    ]
    figure = slo.burn_down(_frame(rows))
    assert [trace.name for trace in figure.data] == ["a", "b"]
    assert list(figure.data[0].y) == pytest.approx([0.9, 0.8, 0.7])
    assert figure.data[0].line.shape == "hv"


def test_burn_rates_of_windows_with_fewer_than_five_attempts_stay_empty() -> None:
    row: dict[str, Any] = {"endpoint_id": "a"}
    for window, n, burn in (("5m", 1, 1000.0), ("30m", 6, 14.4), ("1h", 12, 6.0), ("6h", 72, 1.0), ("3d", 800, 0.2)):
        row |= {f"n_{window}": n, f"burn_{window}": burn, f"bad_{window}": 1}
    (heat,) = slo.burn_rates(_frame([row])).data
    assert list(heat.z[0]) == [None, 3, 2, 1, 0]
    assert heat.text[0][0] == ""


def test_unpriced_attempts_are_counted_and_never_drawn_as_zero() -> None:
    rows = [
        {"project": "x", "started_on": date(2026, 11, 20), "attempts": 9, "cost_usd": 0.5, "unpriced": 2},
        {"project": "free", "started_on": date(2026, 11, 20), "attempts": 9, "cost_usd": None, "unpriced": 9},
    ]
    frame = _frame([{**row, "budget_usd_per_day": 1.0} for row in rows])
    figure = cost.cost_daily(frame)
    assert [trace.name for trace in figure.data] == ["x"]
    assert "11 attempts have no known price" in _notes(figure)
    assert figure.layout.shapes[0].y0 == 2.0
    ranking = cost.cost_by_endpoint(_frame([{"endpoint_id": "a", "attempts": 3, "cost_usd": 0.001, "unpriced": 0}]))
    assert ranking.data[0].customdata[0][0] == "$0.001"


def test_the_threshold_of_our_own_lag_stands_at_250_ms_on_the_logarithmic_axis() -> None:
    row = {
        "grain": "hour",
        "at": NOON,
        "location": "here",
        "reference_error_p50_ms": 1.0,
        "reference_error_max_ms": 4.0,
        "loop_lag_max_ms": 300.0,
    }
    figure = monitor.own_error(_frame([row]))
    assert [trace.y[0] for trace in figure.data] == [1.0, 4.0, 300.0]
    assert figure.layout.shapes[0].y0 == 250
    assert figure.layout.annotations[0].y == pytest.approx(2.39794)


def test_a_blind_gap_is_as_long_as_it_was() -> None:
    row = {"location": "here", "blind_from_at": NOON - timedelta(hours=7), "blind_until_at": NOON, "gap_s": 25_200.0}
    (bars,) = monitor.blind_gaps(_frame([{**row, "as_of": NOON}])).data
    assert bars.x[0] / 3_600_000 == 7
    assert bars.base[0] == "2026-11-20 05:00:00"


def test_sweeps_have_a_line_for_wall_time_median_and_lateness() -> None:
    rows = [
        {
            "grain": "hour",
            "at": NOON + timedelta(hours=hour),
            "location": "here",
            "wall_max_s": 9.0,
            "wall_p50_s": 4.0,
            "start_lag_max_s": None if hour else 1.0,
        }
        for hour in range(3)
    ]
    longest, median, late = monitor.tick_time(_frame(rows)).data
    assert (list(longest.y), list(median.y), list(late.y)) == ([9.0] * 3, [4.0] * 3, [1.0])


def test_disk_use_stacks_its_parts() -> None:
    rows = [
        {"grain": "day", "at": NOON, "part": part, "files": 2, "bytes": size}
        for part, size in (("landing", 10), ("archive", 20))
    ]
    assert [(trace.name, trace.stackgroup) for trace in monitor.disk_use(_frame(rows)).data] == [
        ("archive", "bytes"),
        ("landing", "bytes"),
    ]


def test_phases_that_were_never_observed_are_left_out() -> None:
    row = {"started_on": date(2026, 11, 20), "attempts": 9, "dns_ms": 1.0, "tcp_ms": 2.0, "tls_ms": 0.0}
    figure = attempts.phases(_frame([{**row, "wait_ms": 50.0, "token_ms": 20.0, "visible_ms": 0.0}]))
    assert [trace.name for trace in figure.data] == [
        "DNS",
        "TCP",
        "waiting for headers and first byte",
        "first byte to first token",
    ]


@pytest.mark.parametrize("chart", DRAWN, ids=lambda chart: chart.key)
def test_a_figure_of_no_rows_has_no_traces(chart: Chart, marts: Any) -> None:
    assert chart.figure is not None
    assert len(chart.figure(_real(chart, marts).clear()).data) == 0


@pytest.mark.parametrize("chart", DRAWN, ids=lambda chart: chart.key)
def test_a_figure_of_one_row_is_drawn_and_is_json(chart: Chart, marts: Any) -> None:
    assert chart.figure is not None
    frame = _real(chart, marts)
    full = frame.filter(pl.all_horizontal(pl.all().is_not_null())) if chart.key != "burn_rates" else frame
    one = (full if full.height else frame).head(1)
    assert json.loads(json.dumps(figure_json(chart.figure(one)), allow_nan=False))["layout"]


@pytest.mark.parametrize("chart", DRAWN, ids=lambda chart: chart.key)
def test_a_figure_survives_nulls_in_every_column_that_is_not_an_identity(chart: Chart, marts: Any) -> None:
    assert chart.figure is not None
    frame = _real(chart, marts)
    measured = [name for name, kind in frame.schema.items() if kind == pl.Float64]
    empty = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in measured if name != "gap_s")
    json.dumps(figure_json(chart.figure(empty)), allow_nan=False)


@pytest.mark.parametrize("chart", DRAWN, ids=lambda chart: chart.key)
def test_a_figure_never_holds_more_points_than_a_phone_draws(chart: Chart, marts: Any) -> None:
    assert chart.figure is not None
    frame = _real(chart, marts)
    names = [
        name for name in ("endpoint_id", "subject", "project", "outcome", "part", "location") if name in frame.columns
    ]
    copies = 1 + 12_000 // max(1, frame.height)
    crowd = pl.concat(
        frame.with_columns(pl.format("{}-{}", pl.col(name), pl.lit(copy)).alias(name) for name in names)
        for copy in range(copies)
    )
    assert 0 < points(chart.figure(crowd)) <= LIMIT


@pytest.mark.parametrize("chart", DRAWN, ids=lambda chart: chart.key)
def test_no_name_in_the_data_reaches_a_figure_as_markup(chart: Chart, marts: Any) -> None:
    assert chart.figure is not None
    frame = _real(chart, marts)
    keep = {"grain", "blame", "severity", "verdict"}
    hostile = frame.with_columns(
        pl.lit('<a href="javascript:alert(1)">x</a>').alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.String and name not in keep
    )
    drawn = figure_json(chart.figure(hostile))
    for trace in drawn["data"]:
        shown = json.dumps([trace.get(key) for key in ("name", "text", "customdata", "hovertemplate", "legendgroup")])
        assert "<a" not in shown
    assert "<a" not in json.dumps([axis.get("ticktext") for axis in drawn["layout"].values() if isinstance(axis, dict)])
    assert "<a" not in json.dumps(drawn["layout"].get("meta"))  # notes are escaped by the page, names in them too


def _real(chart: Chart, marts: Any) -> pl.DataFrame:
    known = {"as_of": sample_fleet.AS_OF, "endpoint_id": "azure-eu/gpt-4.1-mini-sweden"}
    return plain(sample_fleet.run(marts, chart, known))
