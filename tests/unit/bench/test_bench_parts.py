"""The bench's own parts: it must read its peers rightly, judge honestly, and know the truth it serves."""

import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.__main__ import PARTS
from tests.bench.home import fingerprints, fleet_yaml, prepared
from tests.bench.house import without_keys
from tests.bench.kill_alerts import edges_bar
from tests.bench.numbers import Estimate, all_of, at_most, difference, estimate, percentile, within
from tests.bench.peers import PeerError, read_aiperf, read_guidellm
from tests.bench.receiver import Message, receiver
from tests.bench.report import Bar, Machine, Section, Table, markdown, plain
from tests.bench.sample import NoTruthError, Sample, errors
from tests.bench.truth import FIRST_TOKEN_MS, GAP_MS, TOKENS, Truth, truth_server

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(VALUES, st.floats(0, 1))
def test_a_percentile_lies_within_its_values_and_grows_with_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert min(values) <= found <= max(values)
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert percentile(values, share / 2) <= found


def test_a_percentile_is_numpys_default() -> None:
    assert percentile([1, 2, 3, 4], 0.5) == 2.5
    assert percentile([10, 20, 30], 0.95) == pytest.approx(29)
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_an_interval_covers_its_value_and_is_the_same_every_time() -> None:
    runs = [[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 9.0]]
    first = estimate(runs, 0.5)
    assert first == estimate(runs, 0.5)
    assert first.low <= first.value <= first.high
    assert first.n == 7
    assert estimate([[5.0] * 9], None) == Estimate(5.0, 5.0, 5.0, 9)


def test_a_difference_has_the_sign_of_ours_minus_theirs() -> None:
    gap = difference([[1.0, 1.1, 0.9]], [[5.0, 5.1, 4.9]], 0.5)
    assert gap.value == pytest.approx(-4)
    assert gap.high < 0


def test_a_verdict_needs_the_whole_interval() -> None:
    assert at_most(Estimate(1, 0.5, 2, 9), 2) == "holds"
    assert at_most(Estimate(1, 0.5, 2.1, 9), 2) == "not shown"
    assert at_most(Estimate(3, 2.1, 4, 9), 2) == "does not hold"
    assert within(Estimate(-0.1, -0.2, 0.1, 9), 0.2) == "holds"
    assert within(Estimate(-0.5, -0.6, -0.3, 9), 0.2) == "does not hold"
    assert within(Estimate(0.1, -0.1, 0.3, 9), 0.2) == "not shown"


def test_the_worst_part_decides_a_bar() -> None:
    assert all_of(["holds", "holds"]) == "holds"
    assert all_of(["holds", "not shown", "does not hold"]) == "does not hold"
    assert all_of(["not shown", "not measured"]) == "not measured"
    assert all_of([]) == "not measured"


def test_an_error_is_against_what_the_server_did_for_that_request() -> None:
    truth = Truth("a", tuple(int((100.5 + 10 * n) * 1e6) for n in range(TOKENS)))
    found = errors([Sample("a", 103.0, 10.1)], {"a": truth})
    assert found.ttft_ms == (pytest.approx(2.5),)
    assert found.ttft_nominal_ms == (pytest.approx(3.0),)
    assert found.gap_ms == (pytest.approx(0.1),)
    assert found.server_late_ms == (pytest.approx(0.5),)
    with pytest.raises(NoTruthError, match="1 of 1"):
        errors([Sample("b", 103.0, 10.1)], {"a": truth})
    with pytest.raises(NoTruthError):
        errors([], {"a": truth})


def aiperf_record(request_id: str, phase: str = "profiling", ttft: float | None = 101.0) -> dict[str, object]:
    metrics = {"inter_token_latency": {"value": 10.0, "unit": "ms"}}
    if ttft is not None:
        metrics["time_to_first_token"] = {"value": ttft, "unit": "ms"}
    return {"metadata": {"x_request_id": request_id, "benchmark_phase": phase}, "metrics": metrics}


def test_aiperfs_warm_up_is_left_out_and_a_failed_request_is_not_overlooked() -> None:
    assert read_aiperf([aiperf_record("w", "warmup"), aiperf_record("p")]) == [Sample("p", 101.0, 10.0)]
    with pytest.raises(PeerError, match="AIPerf failed"):
        read_aiperf([aiperf_record("p", ttft=None)])


def test_guidellms_first_requests_by_start_are_left_out_and_a_failed_one_is_not_overlooked() -> None:
    def request(name: str, start: float) -> dict[str, object]:
        times = {"time_to_first_token_ms": 100.0 + start, "inter_token_latency_ms": 10.0}
        return {"response_id": name, "request_start_time": start, **times}

    done = [request("second", 2.0), request("first", 1.0)]
    report = {"benchmarks": [{"requests": {"successful": done, "errored": []}}]}
    assert read_guidellm(report, 1) == [Sample("second", 102.0, 10.0)]
    report["benchmarks"][0]["requests"]["errored"] = done
    with pytest.raises(PeerError, match="2 requests"):
        read_guidellm(report, 1)


def test_the_truth_is_what_a_client_sees() -> None:
    body = {"model": "any", "stream": True, "stream_options": {"include_usage": True}}
    contents = {"a": "What is 17 * 23?", "b": [{"type": "text", "text": "What is 17 * 23?"}]}
    with truth_server(core=None) as server, httpx.Client() as client:
        answers = [
            client.post(
                f"{server.url}/chat/completions",
                json=body | {"messages": [{"role": "user", "content": content}]},
                headers={"x-request-id": name},
            )
            for name, content in contents.items()
        ]
        truths = server.take()
        assert server.take() == {}
        with urllib.request.urlopen(f"{server.url}/models", timeout=5) as models:
            assert json.load(models)["data"]
    assert set(truths) == {"a", "b"}
    for name, answer in zip("ab", answers, strict=True):
        assert answer.headers["x-request-id"] == name
        events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
        assert events[-1] == "[DONE]"
        chunks = [json.loads(event) for event in events[:-1]]
        assert {(chunk["id"], chunk["model"]) for chunk in chunks} == {(name, "any")}
        words = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
        assert words[0] == "391"
        assert sum(word is not None for word in words) == TOKENS
        assert chunks[-1]["usage"]["completion_tokens"] == TOKENS
        truth = truths[name]
        assert len(truth.written_ns) == TOKENS
        # The server is never early, and its deadlines do not drift.
        plan = [FIRST_TOKEN_MS + GAP_MS * n for n in range(TOKENS)]
        assert all(at / 1e6 >= due - 1 for at, due in zip(truth.written_ns, plan, strict=True))
        assert list(truth.written_ns) == sorted(truth.written_ns)


def test_the_receiver_keeps_what_it_was_sent() -> None:
    with receiver() as inbox:
        incidents = [{"subject": "p/m", "incident_id": "i"}]
        sent = {"kind": "opened", "notice_id": "n", "incidents": incidents}
        assert httpx.post(f"{inbox.url}/hook", json=sent).status_code == 200
        assert httpx.post(f"{inbox.url}/slack", json={"text": "down"}).status_code == 200
    assert [message.body for message in inbox.told("/hook")] == [sent]
    assert inbox.told("/hook")[0].edges == [("p/m", "opened")]
    assert inbox.told("/slack")[0].edges == []


def told(subject: str, kind: str, notice_id: str) -> Message:
    return Message(0.0, "/hook", {"kind": kind, "notice_id": notice_id, "incidents": [{"subject": subject}]})


def test_a_message_sent_again_is_allowed_and_a_lost_or_renamed_one_is_not() -> None:
    expected = [("e", "opened"), ("e", "resolved")]
    heard = [told("e", "opened", "1"), told("e", "opened", "1"), told("e", "resolved", "2")]
    assert edges_bar(expected, heard).verdict == "holds"
    assert "1 sent again" in edges_bar(expected, heard).measured
    assert edges_bar(expected, heard[:2]).verdict == "does not hold"
    assert edges_bar(expected, [*heard, told("e", "resolved", "3")]).verdict == "does not hold"
    assert edges_bar(expected, [*heard, told("other", "opened", "4")]).verdict == "does not hold"


def test_a_bench_home_has_a_valid_fleet_and_every_landed_table(tmp_path: Path) -> None:
    from pipelines.fleet import resolve
    from pipelines.fleet.load import load_fleet

    home = prepared(tmp_path, fleet_yaml({"http://127.0.0.1:9/v1": ["a", "b"]}))
    fleet = load_fleet(home.fleet_file).fleet
    assert [endpoint.model for endpoint in resolve(fleet, {})] == ["a", "b"]
    assert (home.archive / "probe_results" / "schema.parquet").exists()
    assert (home.dagster / "dagster.yaml").exists()


def test_marts_are_told_apart_by_any_cell_and_not_by_their_order(tmp_path: Path) -> None:
    import duckdb

    def database(name: str, rows: str) -> Path:
        with duckdb.connect(str(tmp_path / name)) as con:
            con.execute(f"create table mart as select * from (values {rows}) t(a, b)")
        return tmp_path / name

    one = fingerprints(database("one", "(1, 'x'), (2, null)"))
    assert one == fingerprints(database("two", "(2, null), (1, 'x')"))
    assert one != fingerprints(database("three", "(1, 'x'), (2, '')"))
    assert one["mart"][0] == 2


def test_the_report_holds_every_bar_and_says_when_it_is_no_proof() -> None:
    machine = Machine(2, 24.0, "Linux x86_64", "3.11.7", 3.0, {"duckdb": "2.0.0"})
    bar = Bar("a | b", "≤ 1 ms", "0.5 ms", "holds")
    section = Section("Part", "How.", (bar,), (Table("More", ("x",), (("1",),)),), ("a note",))
    text = markdown(machine, [section], taken_at=datetime(2026, 11, 20, tzinfo=UTC), is_quick=True)
    assert "| a \\| b | ≤ 1 ms | 0.5 ms | holds |" in text
    assert "somebody else was at work" in text
    assert "A quick run" in text
    assert all(word in text for word in ("How.", "**More**", "- a note", "duckdb 2.0.0"))
    calm = Machine(2, 24.0, "Linux x86_64", "3.11.7", 0.1)
    text = markdown(calm, [section], taken_at=datetime(2026, 11, 20, tzinfo=UTC), is_quick=False)
    assert "somebody else" not in text
    assert "quick" not in text
    assert plain([section]).startswith("a | b")
    assert plain([]) == "nothing was measured"


def test_the_machine_is_described_without_its_name() -> None:
    import platform

    machine = Machine.here()
    assert machine.cores >= 1
    assert machine.memory_gb > 0
    assert platform.node() not in repr(machine) or len(platform.node()) < 4
    assert "duckdb" in machine.packages


def test_every_part_can_be_measured() -> None:
    from importlib import import_module

    for part in PARTS:
        assert callable(import_module(f"tests.bench.{part}").measure)


def test_a_first_start_finds_no_key() -> None:
    kept = without_keys({"OPENAI_API_KEY": "x", "HF_TOKEN": "x", "ARGUSLAB_HOME": "x", "PATH": "y"})
    assert kept == {"PATH": "y"}
