import asyncio
import itertools
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import DONE, END, HEAD, Asked, Script, answer, chunk, event, hang, serving

from pipelines.fleet import Endpoint, Fleet, resolve
from pipelines.schemas import TABLES, polars_schema
from pipelines.wire.attempt import Job
from pipelines.wire.prepare import prepare
from pipelines.wire.reading import Reading
from pipelines.wire.reference import Reference
from pipelines.wire.rows import probe_row
from pipelines.wire.sweep import SweepResult, SweepSettings, offsets, sweep

FAST = SweepSettings("t1", budget_s=6, reserve_s=0.5, confirm_after_s=(0.05, 0.05), min_attempt_s=0.1)
QUICK = {"connect": "1s", "first_token": "1s", "idle": "1s", "total": "3s"}


def endpoints(url: str, models: int = 1, providers: int = 1, **settings: Any) -> tuple[Endpoint, ...]:
    provider = {
        "type": "custom_openai_compatible",
        "base_url": url,
        "api_key_env": "MY_KEY",
        "models": [f"m-{n}" for n in range(models)],
        "timeouts": QUICK,
    } | settings
    return resolve(Fleet.model_validate({"providers": {f"p{n}": provider for n in range(providers)}}), {})


TEMPLATES: dict[str, str] = {}


def jobs(targets: tuple[Endpoint, ...], env: dict[str, str] | None = None) -> list[Job]:
    given_env = {"MY_KEY": "sk-secret-of-mine-1"} if env is None else env
    return prepare(targets, given_env, tick_id="t1", templates=TEMPLATES, prices={})


def swept(script: Script, settings: SweepSettings = FAST, **fleet: Any) -> tuple[SweepResult, Any]:
    # LiteLLM compiles outside the event loop, so the port is settled first.
    async def run() -> Any:
        async with serving(script) as server:
            ready = await asyncio.to_thread(jobs, endpoints(server.url, **fleet))
            return await sweep(ready, settings=settings, prices={}), server

    result: tuple[SweepResult, Any] = asyncio.run(run())
    return result


def outcomes(result: SweepResult) -> list[str]:
    return [attempt.reading.outcome for attempt in result.attempts]


def test_a_healthy_fleet_is_asked_once_each_and_every_column_of_the_row_is_filled_in() -> None:
    result, server = swept(answer, models=3, providers=2)
    assert outcomes(result) == ["ok"] * 6
    assert (result.skipped_no_time, result.unconfirmed) == ((), ())
    assert len(server.asked) == 6
    assert len({asked.body for asked in server.asked}) == 6
    assert result.reference_error_p50_ns is not None
    schema = polars_schema(TABLES["probe_results"])
    for attempt in result.attempts:
        row = probe_row(attempt, tick_id="t1", location="here")
        assert set(row) == set(schema)
        assert row["is_maintained"] is False
        assert probe_row(attempt, tick_id="t1", location="here", is_maintained=True) == row | {"is_maintained": True}
        assert row["is_answer_right"] is True
        assert row["t_sent_us"] <= row["t_headers_us"] <= row["t_token_us"] <= row["t_end_us"]
        assert row["reference_error_us"] is not None
        assert (row["kind"], row["attempt"], row["confirm_of"]) == ("scheduled", 0, None)
        assert row["probe_id"] == f"t1:{attempt.endpoint.endpoint_id}:0"
        assert "sk-secret" not in repr(row)
        assert (row["input_tokens"], row["output_tokens"], row["output_tokens_source"]) == (20, 3, "usage")


def test_a_failure_is_confirmed_by_linked_attempts_on_new_connections() -> None:
    async def broken(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno")

    result, server = swept(broken)
    assert outcomes(result) == ["server_error"] * 3
    assert [attempt.kind for attempt in result.attempts] == ["scheduled", "confirm", "confirm"]
    assert [attempt.confirm_of for attempt in result.attempts] == [None, "t1:p0/m-0:0", "t1:p0/m-0:0"]
    assert len({attempt.probe_id for attempt in result.attempts}) == 3
    assert server.connections == 3
    assert len({asked.body for asked in server.asked}) == 3


def test_confirmation_stops_at_the_first_good_answer() -> None:
    calls = 0

    async def once(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            writer.write(b"HTTP/1.1 503 Oh\r\ncontent-length: 2\r\n\r\nno")
        else:
            await answer(asked, writer)

    result, _ = swept(once)
    assert len(result.attempts) == 2
    assert outcomes(result)[1] == "ok"


def test_what_is_our_fault_or_a_rate_limit_is_not_asked_again() -> None:
    for status, outcome in ((401, "auth"), (429, "rate_limited"), (400, "bad_request")):

        async def refuse(asked: Asked, writer: asyncio.StreamWriter, status: int = status) -> None:
            writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\n{}" % status)

        result, _ = swept(refuse)
        assert outcomes(result) == [outcome]
        assert (result.attempts[0].cost_usd, result.attempts[0].price_source) == (0, "not_billed")


def test_two_hundred_endpoints_ten_of_them_hung_end_within_the_budget() -> None:
    async def mixed(asked: Asked, writer: asyncio.StreamWriter) -> None:
        model = json.loads(asked.body)["model"]
        await (hang if model == "m-9" else answer)(asked, writer)

    settings = SweepSettings("t1", budget_s=5.5, reserve_s=1.0, confirm_after_s=(0.2, 0.3), min_attempt_s=0.3)
    timeouts = {"connect": "500ms", "first_token": "2s", "idle": "1500ms", "total": "6s"}
    result, _ = swept(mixed, settings, models=20, providers=10, timeouts=timeouts)
    wall = (result.ended_at - result.started_at).total_seconds()
    assert wall < settings.budget_s
    by_model = Counter((a.endpoint.model == "m-9", a.number, a.reading.outcome) for a in result.attempts)
    assert by_model[(False, 0, "ok")] == 190
    assert by_model[(True, 0, "timeout_first_token")] == 10
    assert by_model[(True, 1, "timeout_first_token")] + by_model[(True, 1, "timeout_total")] == 10
    assert result.skipped_no_time == ()
    confirmed = sum(count for (hung, number, _), count in by_model.items() if hung and number == 2)
    assert confirmed + len(result.unconfirmed) == 10


def test_an_attempt_that_the_sweep_cuts_short_is_ours_and_one_that_cannot_start_is_named() -> None:
    settings = replace(FAST, budget_s=2.4, reserve_s=0.3, min_attempt_s=0.3)
    slow = {"connect": "5s", "first_token": "30s", "idle": "15s", "total": "60s"}
    result, _ = swept(hang, settings, models=2, timeouts=slow, limits={"concurrency": 1})
    (cut,) = result.attempts
    assert cut.reading.outcome == "client_fault"
    assert "wall budget" in str(cut.reading.error_message)
    assert len(result.skipped_no_time) == 1
    assert result.unconfirmed == ()


@pytest.mark.parametrize(
    ("limits", "fleet", "most"),
    [
        ({"concurrency": 3, "per_model": 8}, {"models": 9}, 3),
        ({"concurrency": 8, "per_model": 1}, {"models": 4, "providers": 2}, 8),
    ],
)
def test_the_server_never_sees_more_requests_at_once_than_the_limits_allow(
    limits: dict[str, int], fleet: dict[str, int], most: int
) -> None:
    per_model: Counter[str] = Counter()
    highest: Counter[str] = Counter()

    async def watched(asked: Asked, writer: asyncio.StreamWriter) -> None:
        model = json.loads(asked.body)["model"]
        per_model[model] += 1
        highest[model] = max(highest[model], per_model[model])
        await asyncio.sleep(0.05)
        await answer(asked, writer)
        per_model[model] -= 1

    result, server = swept(watched, replace(FAST, jitter_s=0), limits=limits, **fleet)
    assert set(outcomes(result)) == {"ok"}
    assert 1 < server.most_open <= most
    assert max(highest.values()) <= fleet.get("providers", 1)


def test_requests_per_minute_are_spaced_and_those_without_a_place_are_named() -> None:
    settings = replace(FAST, budget_s=2.0, jitter_s=0)
    result, server = swept(answer, settings, models=10, limits={"rpm": 120})
    assert 2 <= len(server.asked) <= 4
    assert len(result.skipped_no_time) == 10 - len(server.asked)


def test_one_account_s_slow_endpoints_do_not_hold_up_another_s() -> None:
    async def by_key(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (hang if json.loads(asked.body)["model"] == "m-0" else answer)(asked, writer)

    async def run() -> Any:
        async with serving(by_key) as server:
            stuck = endpoints(server.url, models=1, limits={"concurrency": 1})
            free = tuple(
                e.model_copy(update={"provider": "other", "endpoint_id": f"other/{e.model}"})
                for e in endpoints(server.url, models=4)[1:]
            )
            ready = await asyncio.to_thread(jobs, stuck + free)
            seen: list[str] = []
            await sweep(ready, settings=FAST, prices={}, on_attempt=lambda a: seen.append(a.endpoint.provider))
            return seen

    assert asyncio.run(run())[:3] == ["other"] * 3


def test_a_missing_key_is_a_row_of_our_own_and_the_others_are_asked() -> None:
    async def run() -> Any:
        async with serving(answer) as server:
            no_key = tuple(
                e.model_copy(update={"endpoint_id": "x/m", "provider": "x", "api_key_env": "ABSENT"})
                for e in endpoints(server.url)
            )
            ready = await asyncio.to_thread(jobs, no_key + endpoints(server.url))
            return await sweep(ready, settings=FAST, prices={})

    by_id = {attempt.endpoint.endpoint_id: attempt for attempt in asyncio.run(run()).attempts}
    assert by_id["p0/m-0"].reading.outcome == "ok"
    row = probe_row(by_id["x/m"], tick_id="t1", location="here")
    assert (row["outcome"], row["is_counted"], row["blame"]) == ("auth", False, "us")
    assert "ABSENT" in row["error_message"]
    assert set(row) == set(polars_schema(TABLES["probe_results"]))


def test_a_certificate_file_that_is_missing_is_our_fault() -> None:
    result, _ = swept(answer, tls={"ca_file": "absent.pem"})
    assert outcomes(result) == ["client_fault"]
    assert "tls" in str(result.attempts[0].reading.error_message)


def test_progress_counts_every_endpoint_and_stop_ends_early_with_what_was_measured() -> None:
    async def run() -> Any:
        stop = asyncio.Event()
        heard: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            heard.append((done, total))
            if done == 2:
                stop.set()

        async def some(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await (answer if json.loads(asked.body)["model"] in ("m-0", "m-1") else hang)(asked, writer)

        async with serving(some) as server:
            ready = await asyncio.to_thread(jobs, endpoints(server.url, models=4))
            return await sweep(ready, settings=FAST, prices={}, progress=progress, stop=stop), heard

    result, heard = asyncio.run(run())
    assert heard == [(1, 4), (2, 4)]
    assert outcomes(result) == ["ok", "ok"]
    assert result.skipped_no_time == ("p0/m-2", "p0/m-3")


def test_cancelling_a_sweep_leaves_what_was_measured_with_the_caller() -> None:
    async def run() -> Any:
        kept: list[str] = []

        async def some(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await (answer if json.loads(asked.body)["model"] == "m-0" else hang)(asked, writer)

        async with serving(some) as server:
            ready = await asyncio.to_thread(jobs, endpoints(server.url, models=2))
            heard = asyncio.Event()

            def keep(attempt: Any) -> None:
                kept.append(attempt.endpoint.model)
                heard.set()

            task = asyncio.create_task(sweep(ready, settings=FAST, prices={}, on_attempt=keep))
            await heard.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return kept

    assert asyncio.run(run()) == ["m-0"]


def test_a_decoder_s_bug_on_one_answer_blinds_nobody() -> None:
    def decode(job: Job, number: int, tape: Any) -> Reading:
        if job.endpoint.model == "m-1":
            raise ZeroDivisionError("oops")
        return Reading(outcome="ok")

    async def run() -> Any:
        async with serving(answer) as server:
            ready = await asyncio.to_thread(jobs, endpoints(server.url, models=3))
            return await sweep(ready, settings=FAST, prices={}, decode=decode)

    assert sorted(outcomes(asyncio.run(run()))) == ["client_fault", "ok", "ok"]


def test_a_large_answer_is_decoded_beside_the_loop() -> None:
    async def long(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for _ in range(2000):
            writer.write(chunk(event("word ")))
        writer.write(chunk(event("", "stop")) + chunk(DONE) + END)

    result, _ = swept(long)
    assert outcomes(result) == ["wrong_answer"]
    assert result.attempts[0].reading.token_events == 2000


def test_an_endpoint_that_cannot_be_compiled_is_timed_live_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # LiteLLM's own stand-in for a provider keeps this off the network.
    litellm_jobs = [
        replace(job, asks=(replace(ask, live=replace(ask.live, arguments={**ask.live.arguments, **more})),))
        for more in ({"mock_response": "It is 4."}, {"mock_response": "litellm.RateLimitError"})
        for job in jobs(
            resolve(
                Fleet.model_validate(
                    {"providers": {"c": {"type": "cohere_chat", "api_key_env": "MY_KEY", "models": ["command-r"]}}}
                ),
                {},
            )
        )
        for ask in job.asks
        if ask.live is not None
    ]
    assert len(litellm_jobs) == 2
    results = [asyncio.run(sweep([job], settings=FAST, prices={})) for job in litellm_jobs]
    rows = [probe_row(result.attempts[0], tick_id="t1", location="here") for result in results]
    assert [(row["clock"], row["decoded_by"], row["outcome"]) for row in rows] == [
        ("sdk", "litellm", "wrong_answer"),
        ("sdk", "litellm", "rate_limited"),
    ]
    assert rows[0]["answer_preview"] == "It is 4."
    assert rows[0]["t_token_us"] is not None
    assert rows[0]["t_conn_us"] is None


def test_the_reference_knows_its_own_error() -> None:
    async def run() -> Any:
        async with Reference() as reference:
            samples = [await reference.probe() for _ in range(3)]
            near = reference.error_near_ns(samples[1].at_ns)  # type: ignore[union-attr]  # a None would fail the test
            return reference, samples, near

    reference, samples, near = asyncio.run(run())
    assert [sample.error_ns for sample in samples] == [sample.error_ns for sample in reference.samples]
    assert near == samples[1].error_ns
    assert 0 < reference.error_p50_ns() <= reference.error_max_ns()


@given(st.sets(st.text(min_size=1), min_size=1, max_size=50), st.floats(0, 10))
def test_starts_are_even_within_the_spread_and_always_the_same(names: set[str], spread: float) -> None:
    planned = offsets(sorted(names), spread)
    assert planned == offsets(sorted(names, reverse=True), spread)
    assert all(0 <= at <= spread for at in planned.values())
    ordered = sorted(planned.values())
    gaps = [later - earlier for earlier, later in itertools.pairwise(ordered)]
    assert all(abs(gap - spread / len(names)) < 1e-6 for gap in gaps)
