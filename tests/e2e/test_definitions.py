"""What the two code locations offer, as one list: a change of the house shows here as one diff."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines import watch
from pipelines.home import Home
from pipelines.notify.promises import EVALUATED

ROOT = Path(__file__).parents[2]


def test_watch_offers_these_assets_jobs_schedules_and_sensors() -> None:
    assert {key.to_user_string() for key in watch.defs.resolve_all_asset_keys()} == {
        "archive",
        "disk_use",
        "endpoint_catalog",
        "probe_results",
    }
    assert {job.name for job in watch.defs.jobs or ()} == {"discover", "housekeeping", "probe"}
    assert {schedule.name for schedule in watch.defs.schedules or ()} == {
        "discover_schedule",
        "hourly_housekeeping",
        "probe_schedule",
    }
    assert {sensor.name for sensor in watch.defs.sensors or ()} == {"alert_sensor", "fleet_changed"}
    checks = {key.name for key in watch.defs.resolve_asset_graph().asset_check_keys}
    assert checks == {*EVALUATED, "keeps_its_schema", "disk_has_room"}


def test_everything_is_on_from_the_start() -> None:
    assert all(s.default_status == dg.DefaultScheduleStatus.RUNNING for s in watch.defs.schedules or ())
    assert all(s.default_status == dg.DefaultSensorStatus.RUNNING for s in watch.defs.sensors or ())


def test_every_asset_of_ours_has_a_description_an_owner_a_group_and_kinds() -> None:
    graph = watch.defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description
        assert node.owners
        assert node.group_name
        assert node.kinds


@pytest.mark.e2e
def test_insight_loads_beside_it_and_lineage_runs_from_the_catalog_to_the_site(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", tmp_path / "fleet.yaml")
    code = """
from pipelines import insight
graph = insight.defs.resolve_asset_graph()
def above(key, seen):
    for parent in graph.get(key).parent_keys:
        if parent not in seen:
            seen.add(parent)
            above(parent, seen)
    return seen
import dagster as dg
keys = above(dg.AssetKey("site"), set())
print(" ".join(sorted(key.to_user_string() for key in keys)))
print(" ".join(sorted(s.name for s in insight.defs.sensors or ())), len(graph.asset_check_keys))
for key in graph.get_all_asset_keys():
    node = graph.get(key)
    if node.is_materializable:
        assert node.description and node.group_name and node.owners, key
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | home.environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    above, sensors = done.stdout.strip().splitlines()[-2:]
    assert {"endpoint_catalog", "probe_results", "fct_probe", "fct_endpoint_hourly", "published_marts"} <= set(
        above.split()
    )
    assert sensors.split()[0] == "facts_landed"
    assert int(sensors.split()[1]) > 20
