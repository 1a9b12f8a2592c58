"""Each question of the examination, answered well and badly."""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import doctor
from pipelines.cli import app
from pipelines.fleet.validate import load_text
from pipelines.home import Home
from tests.unit.loopback import serving

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".arguslab", tmp_path / "fleet.yaml")


def levels(home: Home, env: dict[str, str], **options: object) -> dict[str, str]:
    findings = doctor.examine(home, env, port=free_port(), offline=True, **options)  # type: ignore[arg-type]
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    return {finding.topic: finding.level for finding in findings}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_fresh_machine_has_nothing_in_the_way(home: Home) -> None:
    found = levels(home, {})
    assert "fail" not in found.values()
    assert (found["fleet"], found["marts"], found["litellm"]) == ("warn", "warn", "ok")
    assert not home.root.exists(), "an examination leaves nothing behind"


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8"])
def test_the_malicious_litellm_is_a_failure_with_the_way_out(version: str) -> None:
    finding = doctor.litellm_version(version)
    assert finding.level == "fail"
    assert "issued anew" in finding.remedy
    assert doctor.litellm_version("1.82.9").level == "ok"
    assert doctor.litellm_version(None).level == "fail"


def test_keys_are_told_by_name_only(home: Home) -> None:
    home.fleet_file.write_text("providers: {o: {type: openai}, g: {type: groq}}\n")
    findings = doctor.examine(home, {"OPENAI_API_KEY": "the-secret"}, port=free_port(), offline=True)
    keys = {finding.message: finding.level for finding in findings if finding.topic == "key"}
    assert keys == {"o: OPENAI_API_KEY is set": "ok", "g: GROQ_API_KEY is not set": "fail"}
    assert "the-secret" not in repr(findings)


def test_an_invalid_fleet_fails_and_points_to_check(home: Home) -> None:
    home.fleet_file.write_text("intervall: 5m\ninterval: 3\n")
    finding, fleet = doctor.fleet_file(home.fleet_file)
    assert (finding.level, fleet) == ("fail", None)
    assert "1 more" in finding.message
    assert "arguslab check" in finding.remedy


def test_a_taken_port_fails_with_another_to_use(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finding = doctor.free_port(port, home)
        assert finding.level == "fail"
        assert str(port + 1) in finding.remedy
        home.root.mkdir()
        with (home.root / "lock").open("w") as held:
            held.write("process 7")
            held.flush()
            fcntl.flock(held, fcntl.LOCK_EX)
            assert doctor.free_port(port, home).level == "ok", "it is our own"


def test_the_holder_of_the_lock_is_named(home: Home) -> None:
    assert "nothing runs" in doctor.lock(home).message
    home.root.mkdir()
    with (home.root / "lock").open("w") as held:
        held.write("process 7, http://127.0.0.1:3000")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "process 7" in doctor.lock(home).message
    assert "nothing runs" in doctor.lock(home).message


def test_a_folder_that_takes_no_files_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = doctor.home_writable(tmp_path / "file" / "home")
    assert finding.level == "fail"
    assert "ARGUSLAB_HOME" in finding.remedy


@pytest.mark.parametrize(("hours", "level"), [(0, "ok"), (1, "warn"), (-1, "warn")])
def test_the_clock_is_compared_with_an_endpoints(hours: int, level: str) -> None:
    with serving({"/v1": {}}) as vendor:
        fleet = load_text(f"providers: {{l: {{type: lm_studio, base_url: '{vendor.base}/v1'}}}}").fleet
        finding = doctor.clock(fleet, lambda: datetime.now(UTC) + timedelta(hours=hours))
        assert "authorization" not in vendor.asked[0][1]
    assert finding.level == level, finding


def test_without_an_answer_the_clock_is_not_judged() -> None:
    fleet = load_text(f"providers: {{l: {{type: lm_studio, base_url: 'http://127.0.0.1:{free_port()}'}}}}").fleet
    assert doctor.clock(fleet, lambda: NOW).level == "warn"


def test_the_age_of_the_marts_is_told(home: Home) -> None:
    file = home.warehouse / "marts-20261101T000000-000001.duckdb"
    file.parent.mkdir(parents=True)
    file.touch()
    home.marts.symlink_to(file)
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    assert doctor.marts(home, NOW + timedelta(minutes=5)).level == "ok"
    assert doctor.marts(home, NOW + timedelta(hours=3)).level == "warn"


def test_packages_are_compared_with_the_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.packages()[0].level == "ok"
    assert doctor.packages("no-such-package")[0].level == "warn"
    monkeypatch.setattr(doctor, "requires", lambda _: ["httpx>=99", "no-such-package", "rich>=1; extra == 'x'"])
    (finding,) = doctor.packages()
    assert finding.level == "fail"
    assert "httpx" in finding.message
    assert "no-such-package is missing" in finding.message
    assert "rich" not in finding.message


def test_the_command_fails_when_a_check_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "fleet.yaml").write_text("providers: {o: {type: openai}}\n")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = CliRunner().invoke(app, ["doctor", "--offline", "--port", str(free_port())])
    assert result.exit_code == 1
    assert "export OPENAI_API_KEY" in result.output
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    result = CliRunner().invoke(app, ["doctor", "--offline", "--json", "--port", str(free_port())])
    assert result.exit_code == 0
    assert {"topic", "level", "message", "remedy"} == set(json.loads(result.stdout)[0])
