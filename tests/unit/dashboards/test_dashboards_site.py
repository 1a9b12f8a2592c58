"""The site as files: complete, linked, small, and safe whatever the data says."""

import dataclasses
import gzip
import io
import json
import posixpath
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser

import polars as pl
import pytest

from dashboards.embed import csv_bytes, plain, script_json, slug
from dashboards.pages import PAGES, endpoint_queries, fleet_queries
from dashboards.site import SiteInputs, endpoint_page, render_site
from dashboards.status import FLEET_HOURS
from tests.unit.dashboards import sample_fleet

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'&{{7*7}} \u2028"


class _Page(HTMLParser):
    """Links, ids, elements and the text of embedded JSON of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                self.ids.append(value)
            if name.startswith("on"):
                self.handlers.append(name)
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


def _pages(site: dict[str, bytes]) -> dict[str, _Page]:
    return {path: _Page(data.decode()) for path, data in site.items() if path.endswith(".html")}


def _lean(inputs: SiteInputs) -> SiteInputs:
    name, frames = next(iter(inputs.endpoint_frames.items()))
    return dataclasses.replace(inputs, endpoint_frames={name: frames})


def _empty(inputs: SiteInputs) -> SiteInputs:
    frames = {key: frame.clear() for key, frame in inputs.frames.items()}
    return dataclasses.replace(inputs, frames=frames, endpoint_frames={}, questions=())


def test_every_page_chart_download_and_badge_is_written(site: dict[str, bytes], inputs: SiteInputs) -> None:
    assert {
        "index.html",
        "sql.html",
        "status.json",
        "assets/plotly.min.js",
        "assets/site.css",
        "assets/site.js",
    } <= set(site)
    for page in PAGES:
        html = site[f"{page.slug}.html"].decode()
        for chart in page.charts:
            assert f'id="t-{chart.key}"' in html
            assert f"data/{chart.key}.csv" in site
            assert f"data/{chart.key}.parquet" in site
    assert sum(path.startswith("endpoints/") for path in site) == inputs.frames["fleet_status"].height
    assert sum(path.startswith("badges/") for path in site) == inputs.frames["fleet_status"].height


def test_every_link_and_anchor_inside_the_site_leads_somewhere(site: dict[str, bytes]) -> None:
    pages = _pages(site)
    checked = 0
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            if link.startswith("data:"):
                continue
            assert "://" not in link, f"{path} loads {link} from the network"
            target, _, anchor = link.partition("#")
            resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
            assert resolved in site, f"{path} links to {link}"
            if anchor:
                assert anchor in pages[resolved].ids, f"{path} links to {link}"
            checked += 1
    assert checked > 500


def test_the_same_inputs_give_the_same_bytes(site: dict[str, bytes], inputs: SiteInputs) -> None:
    again = render_site(inputs)
    assert [path for path in site if site[path] != again[path]] == []
    assert list(again) == list(site)


def test_each_chart_says_as_of_generation_n_and_the_sql_with_its_literals(site: dict[str, bytes]) -> None:
    html = site["uptime.html"].decode()
    assert html.count("as of 2026-11-20 17:41 UTC") == 2
    assert html.count("20261120T174233Z") >= 3
    assert re.search(r"n = [\d,]{6,} counted attempts", html)
    assert "timestamptz &#39;2026-11-20 17:41:00.000000+00&#39;" in html
    assert "$as_of" not in html


def test_the_sql_on_an_endpoints_page_runs_as_it_stands_there(site: dict[str, bytes], marts: object) -> None:
    import html as entities

    path = next(path for path in site if path.startswith("endpoints/azure-eu-gpt-4-1-mini"))
    texts = re.findall(r'<pre class="sql"[^>]*><code>(.*?)</code>', site[path].decode(), re.DOTALL)
    assert len(texts) == len(endpoint_queries())
    for text in texts:
        marts.sql(entities.unescape(text)).pl()  # type: ignore[attr-defined]


def test_downloads_hold_every_row_and_parquet_the_exact_values(site: dict[str, bytes], inputs: SiteInputs) -> None:
    frame = inputs.frames["cost_daily"]
    assert pl.read_parquet(io.BytesIO(site["data/cost_daily.parquet"])).equals(frame)
    assert pl.read_csv(io.BytesIO(site["data/cost_daily.csv"])).height == frame.height
    for query in fleet_queries():
        path = f"data/{query.key}.csv"
        if path in site:
            assert pl.read_csv(io.BytesIO(site[path]), infer_schema=False).height == inputs.frames[query.key].height


def test_a_cell_that_a_spreadsheet_would_run_is_disarmed_in_csv_only() -> None:
    frame = pl.DataFrame({"message": ["=1+1", "-2", "@SUM(A1)", "plain", None], "n": [-1, 2, 3, 4, 5]})
    assert csv_bytes(frame).decode().splitlines() == ["message,n", "'=1+1,-1", "'-2,2", "'@SUM(A1),3", "plain,4", ",5"]


def test_an_empty_warehouse_gives_a_whole_site_that_says_what_will_come(inputs: SiteInputs) -> None:
    site = render_site(_empty(inputs))
    assert "No endpoint is watched yet" in site["index.html"].decode()
    for page in PAGES:
        html = site[f"{page.slug}.html"].decode()
        assert html.count("No data yet.") == len(page.charts)
        assert 'class="plot"' not in html
    assert not [path for path in site if path.startswith("data/")]


def test_charts_that_were_not_run_are_shown_as_having_no_data(inputs: SiteInputs) -> None:
    wanted = ("fleet_status", "open_incidents")
    few = dataclasses.replace(inputs, frames={key: inputs.frames[key] for key in wanted}, endpoint_frames={})
    assert "No data yet" in render_site(few)["cost.html"].decode()


def test_a_moment_without_a_zone_is_refused(inputs: SiteInputs) -> None:
    with pytest.raises(ValueError, match="aware UTC"):
        render_site(dataclasses.replace(inputs, as_of=datetime(2026, 1, 1)))  # noqa: DTZ001 the point of the test


def test_nothing_in_the_data_becomes_markup_or_leaves_its_element(inputs: SiteInputs) -> None:
    def poison(frame: pl.DataFrame) -> pl.DataFrame:
        texts = {"message", "summary", "said", "model", "owner", "project", "last_error", "response_model", "location"}
        return frame.with_columns(pl.lit(HOSTILE).alias(name) for name in frame.columns if name in texts)

    name = inputs.frames["fleet_status"]["endpoint_id"][0]
    renamed = {
        key: frame.with_columns(pl.col("endpoint_id").replace(name, HOSTILE))
        if "endpoint_id" in frame.columns
        else frame
        for key, frame in inputs.frames.items()
    }
    site = render_site(
        dataclasses.replace(
            inputs,
            frames={key: poison(frame) for key, frame in renamed.items()},
            endpoint_frames={HOSTILE: {key: poison(frame) for key, frame in inputs.endpoint_frames[name].items()}},
            generation=HOSTILE,
        )
    )
    for path, page in _pages(site).items():
        html = site[path].decode()
        assert "alert(1)</script>" not in html, path
        assert "<img src=x" not in html, path
        assert not page.handlers, path
        assert page.tags.count("script") == (4 if "plotly.min.js" in html else 2), path
        for script in page.scripts:
            if script.startswith('{"templates"'):
                assert json.loads(script)["figures"] is not None
    assert json.loads(site["status.json"])["generation"] == HOSTILE
    badge = site[f"badges/{slug(HOSTILE)}.svg"].decode()
    assert "<img" not in badge
    assert "<script" not in badge


def test_json_in_a_page_cannot_end_its_script_and_reads_back_the_same() -> None:
    text = script_json({"a": HOSTILE, "b": "<!--", "c": "\u2029"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": HOSTILE, "b": "<!--", "c": "\u2029"}


def test_slugs_are_different_for_names_that_look_alike_and_safe_as_file_names() -> None:
    names = ["a/b", "a b", "A/B", "a-b", "ä/b", "../../etc/passwd", "con", "", "x" * 300, "日本語", "a\x00b", "a.b"]
    slugs = [slug(name) for name in names]
    assert len({found.lower() for found in slugs}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,80}", found) for found in slugs)


def test_fifty_endpoints_over_ninety_days_stay_under_300_kb_a_page_gzipped() -> None:
    with sample_fleet.build(sample_fleet.endpoints(50)) as marts:
        inputs = sample_fleet.inputs(marts, pages=1)
    site = render_site(inputs)
    sizes = {path: len(gzip.compress(data)) for path, data in site.items() if path.endswith(".html")}
    assert max(sizes.values()) < 300_000, sizes
    assert inputs.frames["uptime_calendar"].height > 4_000  # the fleet really is that large


def test_a_page_holds_the_template_once_and_no_figure_repeats_it(site: dict[str, bytes]) -> None:
    (text,) = [script for script in _Page(site["slo.html"].decode()).scripts if script.startswith("{")]
    data = json.loads(text)
    assert set(data["templates"]) == {"light", "dark"}
    assert len(data["figures"]) == 7
    assert all("template" not in figure["layout"] for figure in data["figures"].values())


def test_simulated_data_says_so_on_every_page(inputs: SiteInputs, site: dict[str, bytes]) -> None:
    demo = render_site(dataclasses.replace(_lean(inputs), is_demo=True))
    for path in _pages(demo):
        assert "Simulated." in demo[path].decode()
        assert "Simulated." not in site[path].decode()


def test_the_page_carries_its_age_for_the_readers_clock(inputs: SiteInputs) -> None:
    html = render_site(dataclasses.replace(_lean(inputs), stale_after_s=900))["index.html"].decode()
    assert f'data-as-of="{int(sample_fleet.AS_OF.timestamp() * 1000)}" data-stale-after="900"' in html


def test_an_endpoints_page_that_is_drawn_less_often_warns_later(inputs: SiteInputs) -> None:
    chosen = next(iter(inputs.endpoint_frames))
    slower = dataclasses.replace(inputs, stale_after_s=900, endpoint_stale_after_s=4500)
    site = render_site(slower, render_endpoints={chosen})
    told = {path: 'data-stale-after="4500"' in data.decode() for path, data in site.items() if path.endswith(".html")}
    assert [path for path in told if told[path]] == [endpoint_page(chosen)]
    assert b'data-stale-after="900"' in site["index.html"]


def test_status_json_names_states_pages_and_badges_that_exist(site: dict[str, bytes]) -> None:
    status = json.loads(site["status.json"])
    assert status["schema"] == 1
    assert status["as_of"] == "2026-11-20T17:41:00Z"
    assert status["counts"] == {"UP": 10, "DOWN": 1, "STALE": 1}
    down = next(one for one in status["endpoints"] if one["state"] == "DOWN")
    assert down["endpoint_id"] == "azure-eu/gpt-4.1-mini-sweden"
    assert down["since"] == "2026-11-20T14:02:00Z"
    assert down["page"] in site
    assert down["badge"] in site
    assert [incident["incident_id"] for incident in status["incidents"]] == ["inc-7-0"]


def test_every_query_binds_only_what_it_uses_and_runs_on_the_contract(marts: object) -> None:
    for query in (*fleet_queries(), *endpoint_queries()):
        assert set(query.parameters) <= {"as_of", "endpoint_id"}
        frame = sample_fleet.run(marts, query, {"as_of": sample_fleet.AS_OF, "endpoint_id": "groq/qwen3-32b"})  # type: ignore[arg-type]
        assert frame.width
    keys = [query.key for query in (*fleet_queries(), *endpoint_queries())]
    assert len(keys) == len(set(keys))


def test_hours_are_utc_wherever_the_database_sits(inputs: SiteInputs, site: dict[str, bytes]) -> None:
    hours = plain(inputs.frames[FLEET_HOURS.key])["hour_at"]
    assert hours.max() == sample_fleet.AS_OF - timedelta(minutes=41)
    assert '"2026-11-20 17:00"' in site["latency.html"].decode()
