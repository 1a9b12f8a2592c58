"""Five real endpoints on loopback, one dies and is healed: the Slack double hears exactly twice."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from pipelines.home import Home
from tests.e2e.kit import House, Receiver, demo_server, house, order, slack

FLEET = """
version: 1
interval: 1m
providers:
  one:
    type: custom_openai_compatible
    base_url: {url}/openai/v1
    models: [steady-2, bundling-1, flaky-1]
  two:
    type: anthropic
    base_url: {url}/anthropic
    models: [slow-2]
  three:
    type: ollama
    base_url: {url}/ollama
    models: [local-1]
promises: {{fail_threshold: 2, recover_threshold: 2}}
channels:
  ops: {{type: slack, webhook_url_env: TEST_SLACK_URL}}
"""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[House, str, Receiver]]:
    home = Home(tmp_path / "home", tmp_path / "fleet.yaml")
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    with demo_server() as url, slack() as (receiver, hook):
        monkeypatch.setenv("TEST_SLACK_URL", hook)
        for model in ("steady-2", "bundling-1", "flaky-1", "slow-2", "local-1"):
            order(url, model, "none")
        with house(tmp_path, FLEET.format(url=url)) as opened:
            yield opened, url, receiver


@pytest.mark.e2e
def test_one_of_five_dies_and_is_healed_and_slack_hears_exactly_twice(parts: tuple[House, str, Receiver]) -> None:
    here, url, receiver = parts
    here.run("discover")
    here.run("probe")
    here.tick()
    assert receiver.heard == []

    order(url, "steady-2", "overloaded_529")
    result = here.run("probe")
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed == ["endpoint_available"]
    here.tick()
    here.tick()
    assert len(receiver.heard) == 1
    assert "DOWN" in receiver.texts[0]
    assert "one/steady-2" in receiver.texts[0]
    assert "overloaded" in receiver.texts[0]

    here.run("probe")
    here.tick()
    assert len(receiver.heard) == 1

    order(url, "steady-2", "none")
    for _ in range(4):  # two good ones in a row, and fewer than half bad in the window
        here.run("probe")
        here.tick()
    assert len(receiver.heard) == 2
    assert "one/steady-2" in receiver.texts[1]

    probes = here.landing.read("probe_results").collect()
    assert set(probes["endpoint_id"]) == {
        "one/bundling-1",
        "one/flaky-1",
        "one/steady-2",
        "three/local-1",
        "two/slow-2",
    }
    dead = probes.filter(endpoint_id="one/steady-2", outcome="overloaded")
    assert dead.height == 4
    assert dead["confirm_of"].drop_nulls().len() == 2
    assert dead["tape_id"].null_count() == 0
    assert all(
        (here.home.tapes / f"date={row['started_at'].date()}" / f"{row['tape_id']}.json.gz").exists()
        for row in dead.iter_rows(named=True)
    )
    others = probes.filter(pl.col("endpoint_id") != "one/steady-2")
    assert set(others["outcome"]) <= {"ok", "client_fault"}  # a busy machine blames itself, never the endpoint
    events = here.landing.read("incident_events").collect().sort("at")
    down = events.filter(promise="endpoint_available", subject="one/steady-2")
    assert [kind for kind in down["kind"] if kind in {"opened", "resolved"}] == ["opened", "resolved"]
    assert set(events["promise"]) <= {"endpoint_available", "error_budget_burn"}
    told = here.landing.read("notifications").filter(channel="ops").collect()
    assert told["is_delivered"].to_list() == [True, True]
    assert told["notification_id"].n_unique() == 2


@pytest.mark.e2e
def test_a_channel_that_fails_is_tried_again_and_nothing_is_lost(parts: tuple[House, str, Receiver]) -> None:
    here, url, receiver = parts
    here.run("discover")
    receiver.status = 500
    order(url, "local-1", "server_error")
    here.run("probe")
    here.tick()
    assert receiver.heard == []
    assert here.cursor is not None
    assert "last_error" in here.cursor
    receiver.status = 200
    here.cursor = here.cursor.replace('"next_try_at":"2', '"next_try_at":"1')  # its time has come
    here.tick()
    assert len(receiver.heard) == 1
    assert "three/local-1" in receiver.texts[0]


@pytest.mark.e2e
def test_an_edit_takes_effect_at_the_next_tick_and_an_invalid_one_keeps_the_last_good_and_is_told(
    parts: tuple[House, str, Receiver],
) -> None:
    here, _, receiver = parts
    here.run("discover")
    file = here.home.fleet_file
    file.write_text(file.read_text().replace("[steady-2, bundling-1, flaky-1]", "[steady-2]"))
    here.run("probe")
    probes = here.landing.read("probe_results").collect()
    assert set(probes["endpoint_id"]) == {"one/steady-2", "three/local-1", "two/slow-2"}

    file.write_text(file.read_text() + "surprise: true\n")
    result = here.run("probe")
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == [
        "fleet_file_valid"
    ]
    assert here.landing.read("probe_results").collect().height == 2 * probes.height
    here.tick()
    assert len(receiver.heard) == 1
    assert "surprise" in receiver.texts[0] + str(receiver.heard[0])
