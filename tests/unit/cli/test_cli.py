"""The commands as a user meets them: output, exit codes, one line what and one line remedy."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typer.testing import CliRunner, Result

from pipelines.cli import app
from pipelines.landing import Landing
from tests.unit.loopback import Vendor, serving

RUNNER = CliRunner()
SOURCE = Path(__file__).parents[3]
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("ARGUSLAB", "AWS_")) or name.endswith(("_API_KEY", "_API_BASE")):
            monkeypatch.delenv(name)
    for name, value in WIDE.items():
        monkeypatch.setenv(name, value)


def run(*words: str, **options: Any) -> Result:
    return RUNNER.invoke(app, list(words), **options)


def answer(request: Request) -> Any:
    """A chat server that does the sum it is asked for."""

    async def reply() -> Response:
        question = (await request.json())["messages"][-1]["content"]
        if "broken" in request.url.path:
            return JSONResponse({"error": {"message": "boom"}}, 500)
        if "locked" in request.url.path:
            return JSONResponse({"error": {"message": "wrong key"}}, 401)
        factors = re.search(r"(\d+) \* (\d+)", question)
        assert factors is not None
        product = str(int(factors[1]) * int(factors[2]))

        async def stream() -> Any:
            for text in ("", product):
                chunk = {
                    "id": "c",
                    "object": "chat.completion.chunk",
                    "model": "m",
                    "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
                }
                yield f"data: {json.dumps(chunk)}\n\n"
            chunk["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
            chunk["usage"] = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
            yield f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    return reply()


@pytest.fixture
def server() -> Iterator[Vendor]:
    listed = {"object": "list", "data": [{"id": "m"}, {"id": "text-embedding-3"}]}
    with serving({"/v1/models": listed, "/v1/chat/completions": answer}) as vendor:
        vendor.answers["/broken/chat/completions"] = vendor.answers["/locked/chat/completions"] = answer
        yield vendor


def fleet(*providers: str, more: str = "") -> None:
    Path("fleet.yaml").write_text("providers:\n" + "".join(f"  {line}\n" for line in providers) + more)


# ── help, version, errors ───────────────────────────────────────────────────────────────────────────────────────


def commands() -> list[list[str]]:
    listed = re.findall(r"^│ (\w+)  ", run("--help").output, re.MULTILINE)
    inner = re.findall(r"^│ (\w+)  ", run("alerts", "--help").output, re.MULTILINE)
    return [[name] for name in listed] + [["alerts", name] for name in inner]


def test_every_command_has_help_with_an_example() -> None:
    found = commands()
    names = {" ".join(words) for words in found}
    assert {"up", "demo", "init", "check", "discover", "probe", "sql", "alerts", "doctor", "schema"} <= names
    assert {"alerts list", "alerts ack", "alerts silence", "alerts unsilence", "alerts test"} <= names
    for words in found:
        result = run(*words, "--help")
        assert result.exit_code == 0
        assert "Example: arguslab" in result.output, words


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert run("--version").output.strip() == f"arguslab {version('arguslab')}"


def test_wrong_usage_is_exit_code_2() -> None:
    assert run("no-such-command").exit_code == 2
    assert run("probe", "--watch", "1").exit_code == 2


def test_help_loads_nothing_heavy() -> None:
    """`arguslab --help` stays fast because these are not imported."""
    script = (
        "import sys; from pipelines.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'polars', 'pydantic', 'httpx', 'duckdb', 'litellm', 'dagster', 'ruamel'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=SOURCE, check=True)
    assert "HEAVY []" in done.stdout


def test_a_missing_fleet_is_two_lines_and_no_traceback_in_a_real_process(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", "from pipelines.cli import app; app()", "discover"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    what, remedy = done.stderr.strip().splitlines()
    assert what.startswith("✗")
    assert "fleet.yaml" in what
    assert remedy.strip() == "→ Write one with: arguslab init"


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(SOURCE)}
    code = "from pipelines.cli import app; app()"
    command = f"{sys.executable} -c '{code}' schema | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


# ── init, check, schema ─────────────────────────────────────────────────────────────────────────────────────────


def test_init_writes_what_was_found_and_check_accepts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "secret-value")
    result = run("init")
    assert result.exit_code == 0, result.output
    text = Path("fleet.yaml").read_text()
    assert "api_key_env: MISTRAL_API_KEY" in text
    assert "secret-value" not in text + result.output
    assert "$schema=.arguslab/fleet.schema.json" in text
    assert json.loads(Path(".arguslab/fleet.schema.json").read_text())["title"] == "ArgusLab fleet.yaml"
    assert run("check", "--strict").exit_code == 0


def test_init_never_replaces_a_file_unasked() -> None:
    Path("fleet.yaml").write_text("location: mine\n")
    result = run("init")
    assert result.exit_code == 1
    assert "--force" in result.output
    assert Path("fleet.yaml").read_text() == "location: mine\n"
    assert run("init", "--schema").exit_code == 0
    assert Path("fleet.yaml").read_text() == "location: mine\n"
    assert run("init", "--force").exit_code == 0
    assert "providers:" in Path("fleet.yaml").read_text()


def test_check_tells_every_error_with_its_line_and_remedy() -> None:
    Path("fleet.yaml").write_text("intervall: 5m\nbuild_every: 3\n")
    result = run("check")
    assert result.exit_code == 1
    assert "✗ fleet.yaml:1:1: intervall: there is no such key" in result.output
    assert "→ Did you mean `interval`?" in result.output
    assert "✗ fleet.yaml:2:1: build_every: 3 has no unit" in result.output
    assert "2 errors" in result.output
    told = json.loads(run("check", "--json").stdout)
    assert [(one["line"], one["key"]) for one in told["problems"]] == [(1, "intervall"), (2, "build_every")]
    assert told["valid"] is False


def test_warnings_fail_only_when_strict() -> None:
    fleet("o: {type: openai}")
    result = run("check")
    assert result.exit_code == 0
    assert "OPENAI_API_KEY is not set" in result.output
    assert run("check", "--strict").exit_code == 1
    assert json.loads(run("check", "--json").stdout)["problems"][0]["severity"] == "warning"


def test_check_takes_another_path(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("providers: {l: {type: ollama}}\n")
    assert "other.yaml is valid: 1 provider" in run("check", "other.yaml").output


def test_the_schema_is_json() -> None:
    assert "providers" in json.loads(run("schema").stdout)["properties"]


# ── discover, probe ─────────────────────────────────────────────────────────────────────────────────────────────


def test_discover_shows_what_is_watched_and_fails_when_a_list_cannot_be_had(server: Vendor) -> None:
    fleet(
        f"good: {{type: lm_studio, base_url: '{server.base}/v1'}}",
        f"bad: {{type: lm_studio, base_url: '{server.base}/x'}}",
    )
    result = run("discover", "good", "--dropped")
    assert result.exit_code == 0
    assert "good/m" in result.output
    assert "dropped: embedding in name" in result.output
    server.answers["/x/models"] = (401, {})
    result = run("discover", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["good"]["outcome"], told["bad"]["outcome"]) == ("ok", "auth")
    result = run("discover", "godo")
    assert (result.exit_code, "no provider is called 'godo'" in result.output) == (2, True)


def test_probe_measures_a_real_stream_and_lands_it_when_asked(server: Vendor) -> None:
    fleet(f"good: {{type: lm_studio, base_url: '{server.base}/v1'}}")
    result = run("probe", "--json", "--record")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["endpoint_id"], row["outcome"], row["kind"], row["is_answer_right"]) == ("good/m", "ok", "manual", True)
    assert row["t_token_us"] > 0
    landed = Landing(str(Path(".arguslab").resolve())).read("probe_results").collect()
    assert landed["probe_id"].to_list() == [row["probe_id"]]
    result = run("probe", "good/*")
    assert result.exit_code == 0
    assert "✓" in result.output
    assert "right" in result.output
    assert len(Landing(str(Path(".arguslab").resolve())).read("probe_results").collect()) == 1


def test_a_probe_in_a_maintenance_window_is_recorded_as_such(server: Vendor) -> None:
    window = (
        "maintenance:\n  - {name: w, endpoints: ['good/*'], start: 2020-01-01T00:00:00Z, end: 2120-01-01T00:00:00Z}\n"
    )
    fleet(f"good: {{type: lm_studio, base_url: '{server.base}/v1'}}", more=window)
    (row,) = json.loads(run("probe", "--json", "--record").stdout)
    assert row["is_maintained"] is True
    assert Landing(str(Path(".arguslab").resolve())).read("probe_results").collect()["is_maintained"].to_list() == [
        True
    ]


def test_probe_fails_for_ci_when_an_endpoint_is_down_or_our_key_is_refused(server: Vendor) -> None:
    fleet(
        f"good: {{type: lm_studio, base_url: '{server.base}/v1', models: [m]}}",
        f"broken: {{type: lm_studio, base_url: '{server.base}/broken', models: [m]}}",
        f"locked: {{type: lm_studio, base_url: '{server.base}/locked', models: [m]}}",
    )
    result = run("probe", "--json")
    assert result.exit_code == 1
    rows = {row["provider"]: row for row in json.loads(result.stdout)}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "good": "ok",
        "broken": "server_error",
        "locked": "auth",
    }
    assert run("probe", "good/m").exit_code == 0
    assert run("probe", "locked/m").exit_code == 1
    result = run("probe", "goood/m")
    assert result.exit_code == 2
    assert "good/m" in result.output


# ── sql ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def marts(tmp_path: Path) -> None:
    import duckdb

    home = tmp_path / ".arguslab"
    (home / "warehouse").mkdir(parents=True)
    file = home / "warehouse" / "marts-20261101T000000-000001.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("create table fct_slo as select 'a/m' as endpoint_id, 0.5::decimal(4,2) as uptime, null as note")
    (home / "marts.duckdb").symlink_to(file)


@pytest.mark.usefixtures("marts")
def test_sql_answers_as_table_csv_and_json() -> None:
    query = "select * from fct_slo"
    assert "a/m" in run("sql", query).output
    assert run("sql", "--csv", query).stdout == "endpoint_id,uptime,note\na/m,0.50,\n"
    assert json.loads(run("sql", "--json", query).stdout) == [{"endpoint_id": "a/m", "uptime": "0.50", "note": None}]
    assert run("sql", "--csv", input=query).stdout.endswith("a/m,0.50,\n")


@pytest.mark.usefixtures("marts")
def test_sql_cannot_change_the_marts_and_tells_mistakes_in_lines() -> None:
    result = run("sql", "drop table fct_slo")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert run("sql", "select 1 from fct_slo").exit_code == 0
    assert run("sql", "selec 1").exit_code == 1
    assert run("sql", "--csv", "--json", "select 1").exit_code == 2


def test_sql_before_anything_is_published_names_the_next_command() -> None:
    result = run("sql", "select 1")
    assert result.exit_code == 1
    assert "arguslab up" in result.output


@pytest.mark.usefixtures("marts")
def test_the_prompt_takes_statements_and_commands(tmp_path: Path) -> None:
    import pty

    controller, terminal = pty.openpty()
    env = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-c", "from pipelines.cli import app; app()", "sql"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env=env,
        text=True,
    ) as process:
        os.close(terminal)
        os.write(controller, b".tables\n.mode csv\nselect endpoint_id\nfrom fct_slo;\nselec;\n.help\n.quit\n")
        output, _ = process.communicate(timeout=30)
        os.close(controller)
    assert process.returncode == 0
    assert "fct_slo" in output
    assert "endpoint_id\na/m" in output
    assert ".schema NAME" in output


# ── alerts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def incident_event(incident: str, kind: str, minutes: int, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return {
        "event_id": f"{incident}-{kind}-{minutes}",
        "incident_id": incident,
        "at": at,
        "kind": kind,
        "promise": "availability",
        "subject": "o/m",
        "provider": "o",
        "project": "default",
        "owner": None,
        "severity": "critical",
        "state_from": "UP",
        "state_to": "DOWN",
        "started_at": at,
        "summary": "o/m is down",
        "detail_json": "{}",
        "is_demo": False,
        **more,
    }


@pytest.fixture
def landing() -> Landing:
    landing = Landing(str(Path(".arguslab").resolve()))
    events = [
        incident_event("aaaa1111", "opened", 30),
        incident_event("bbbb2222", "opened", 90),
        incident_event("bbbb2222", "resolved", 60),
        incident_event("cccc3333", "state", 5),
        incident_event("silence-x", "silenced", 1, promise="silence"),
    ]
    landing.append("incident_events", events, "e")
    return landing


def test_alerts_list_shows_what_is_open(landing: Landing) -> None:
    told = json.loads(run("alerts", "list", "--json").stdout)
    assert [row["incident_id"] for row in told["incidents"]] == ["aaaa1111"]
    result = run("alerts", "list")
    assert "aaaa1111" in result.output
    assert "30 min" in result.output


def test_no_incident_is_good_news() -> None:
    assert "No incident is open" in run("alerts", "list").output


def test_ack_takes_the_beginning_of_an_id_and_lands(landing: Landing) -> None:
    assert run("alerts", "ack", "bbbb").exit_code == 2
    assert run("alerts", "ack", "aaaa", "-m", "looking").exit_code == 0
    (row,) = landing.read("alert_commands").collect().to_dicts()
    assert (row["action"], row["target"], row["note"], row["until"]) == ("ack", "aaaa1111", "looking", None)
    assert json.loads(run("alerts", "list", "--json").stdout)["incidents"][0]["is_acknowledged"] is True


def test_silence_and_unsilence_land_and_are_listed() -> None:
    assert run("alerts", "silence", "o/*", "--for", "2 hours").exit_code == 2
    assert run("alerts", "silence", "o/*", "--for", "3h").exit_code == 0
    (row,) = json.loads(run("alerts", "list", "--json").stdout)["silences"]
    lasts = datetime.fromisoformat(row["until"]) - datetime.fromisoformat(row["at"])
    assert row["target"] == "o/*"
    assert abs(lasts - timedelta(hours=3)) < timedelta(seconds=5)
    assert run("alerts", "unsilence", "p/*").exit_code == 2
    assert run("alerts", "unsilence", "o/*").exit_code == 0
    assert json.loads(run("alerts", "list", "--json").stdout)["silences"] == []


def test_a_channel_is_tried_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    def hear(request: Request) -> Any:
        async def reply() -> Response:
            heard.append(await request.json())
            return Response("ok")

        return reply()

    with serving({"/hook": hear}) as vendor:
        fleet(more="channels:\n  team: {type: slack, webhook_url_env: SLACK_URL}\n  console: {type: console}\n")
        result = run("alerts", "test", "team")
        assert result.exit_code == 1
        assert "SLACK_URL" in result.output
        monkeypatch.setenv("SLACK_URL", f"{vendor.base}/hook")
        assert run("alerts", "test", "team").exit_code == 0
        vendor.answers["/hook"] = (500, {})
        assert run("alerts", "test", "team").exit_code == 1
    assert "Nothing is wrong" in json.dumps(heard[0])
    result = run("alerts", "test", "taem")
    assert (result.exit_code, "team" in result.output) == (2, True)


# ── completion ──────────────────────────────────────────────────────────────────────────────────────────────────


def completed(line: str) -> list[str]:
    env = {"_ARGUSLAB_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return RUNNER.invoke(app, [], env=env, prog_name="arguslab").stdout.split()


def test_the_shell_completes_names_from_the_fleet() -> None:
    more = "channels:\n  # old: {}\n  team: {type: console}\n  tower:\n    type: console\nroutes: []\n"
    fleet("openai: {type: openai}", "ollama:\n    type: ollama", more=more)
    assert completed("arguslab discover o") == ["openai", "ollama"]
    assert completed("arguslab alerts test t") == ["team", "tower"]
    assert completed("arguslab probe op") == ["openai/*"]


def test_completion_without_a_fleet_is_silent() -> None:
    assert completed("arguslab discover o") == []
