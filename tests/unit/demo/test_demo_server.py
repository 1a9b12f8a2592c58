"""The demo server over real sockets: answers, clocks, lists, controls."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from pipelines.demo.personas import PERSONAS, outage_of_day, take
from pipelines.demo.script import Pace
from pipelines.demo.server import build_app, serving
from pipelines.demo.speech import compose

Talk = Callable[[httpx.AsyncClient], Awaitable[Any]]


def talk(body: Talk, **options: Any) -> Any:
    async def main() -> Any:
        async with (
            serving(build_app(seed=5, **options)) as root,
            httpx.AsyncClient(base_url=root, trust_env=False, timeout=60) as client,
        ):
            return await body(client)

    return asyncio.run(main())


QUICK = Pace(0.02, 0.001)


def ask(model: str = "steady-2", content: str = "What is 17 * 23?", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize("sign", ["×", "x", "*", "times", " * "])
def test_a_canary_is_answered_right_and_a_wrong_answer_is_wrong(sign: str) -> None:
    prompt = f"[00aa] What is 47 {sign} 86? Reply with the number only."
    right = compose(prompt, model="m", response_id="r")
    wrong = compose(prompt, model="m", response_id="r", is_wrong=True)
    assert "4042" in "".join(right.words)
    assert "4042" not in "".join(wrong.words)


def test_the_token_budget_is_kept_and_reasoning_is_paid_for_first() -> None:
    said = compose("3 * 4", model="m", response_id="r", max_tokens=5, reasoning_tokens=4)
    assert (len(said.thoughts), len(said.words), said.finish) == (4, 1, "length")
    spent = compose("3 * 4", model="m", response_id="r", max_tokens=5, reasoning_tokens=60)
    assert (len(spent.thoughts), len(spent.words), spent.finish) == (5, 0, "length")


def test_a_request_without_a_stream_gets_one_document() -> None:
    async def body(client: httpx.AsyncClient) -> Any:
        return (await client.post("/openai/v1/chat/completions", json=ask())).json()

    answer = talk(body, pace=QUICK)
    assert answer["choices"][0]["message"]["content"].startswith("391.")
    assert answer["usage"]["completion_tokens"] > 10


def test_tokens_come_at_true_times_and_the_truth_is_told() -> None:
    async def body(client: httpx.AsyncClient) -> tuple[list[float], dict[str, Any]]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with client.stream("POST", "/openai/v1/chat/completions", json=ask(stream=True)) as response:
            stamps = [
                loop.time() - start
                async for line in response.aiter_lines()
                if '"content": "' in line and '"content": ""' not in line
            ]
        return stamps, (await client.get("/control/truth")).json()[0]

    stamps, truth = talk(body, pace=Pace(0.2, 0.01))
    assert truth["outcome"] == "ok"
    assert truth["token_events"] == truth["output_tokens"] == len(stamps)
    early = 0.002  # the loop's timers may fire a clock tick early; late they may be on a busy machine
    assert truth["first_token_s"] >= 0.2 - early
    assert truth["last_token_s"] >= 0.2 + 0.01 * (len(stamps) - 1) - early
    assert stamps[0] >= truth["first_token_s"]


def test_every_providers_list_is_paged_to_its_end() -> None:
    async def body(client: httpx.AsyncClient) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {"anthropic": [], "gemini": []}
        query: dict[str, str] = {}
        while True:
            page = (await client.get("/anthropic/v1/models", params=query)).json()
            found["anthropic"] += [row["id"] for row in page["data"]]
            if not page["has_more"]:
                break
            query = {"after_id": page["last_id"]}
        query = {}
        while True:
            page = (await client.get("/gemini/v1beta/models", params=query)).json()
            found["gemini"] += [row["name"] for row in page["models"]]
            if "nextPageToken" not in page:
                break
            query = {"pageToken": page["nextPageToken"]}
        found["openai"] = [row["id"] for row in (await client.get("/openai/v1/models")).json()["data"]]
        found["ollama"] = [row["name"] for row in (await client.get("/ollama/api/tags")).json()["models"]]
        return found

    found = talk(body)
    assert found["anthropic"] == ["slow-2", "daily-outage-1"]
    assert found["gemini"] == [f"models/{name}" for name in PERSONAS]
    assert set(found["openai"]) | set(found["anthropic"]) | set(found["ollama"]) == set(PERSONAS)


def test_a_scripted_outage_breaks_an_endpoint_and_heals_by_itself() -> None:
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    clock = [moment]

    async def body(client: httpx.AsyncClient) -> list[int]:
        async def status() -> int:
            return (await client.post("/openai/v1/chat/completions", json=ask())).status_code

        seen = [await status()]
        order = {"model": "steady-2", "fault": "overloaded_529", "for_s": 60}
        assert (await client.post("/control", json=order)).status_code == 200
        seen.append(await status())
        clock[0] = moment + timedelta(seconds=61)
        seen.append(await status())
        await client.post("/control", json=order)
        await client.post("/control", json={**order, "fault": "none", "for_s": 0})
        seen.append(await status())
        return seen

    assert talk(body, wall=lambda: clock[0], pace=QUICK) == [200, 529, 200, 200]


@pytest.mark.parametrize(
    "order",
    [
        {"model": "nobody", "fault": "empty"},
        {"model": "*", "fault": "nonsense"},
        {"model": "*", "fault": "empty", "for_s": -1},
        {"model": "*", "fault": "empty", "for_s": "long"},
        [],
    ],
)
def test_a_senseless_order_is_refused(order: Any) -> None:
    async def body(client: httpx.AsyncClient) -> int:
        return (await client.post("/control", content=json.dumps(order))).status_code

    assert talk(body) == 422


def test_an_unknown_model_is_not_found_and_a_suffix_asks_for_a_fault() -> None:
    async def body(client: httpx.AsyncClient) -> list[int]:
        models = ["no-such-model", "steady-2@server_error", "steady-2@no_such_fault"]
        return [(await client.post("/openai/v1/chat/completions", json=ask(name))).status_code for name in models]

    assert talk(body, pace=QUICK) == [404, 500, 400]


def test_a_persona_is_the_same_for_the_same_seed_and_moment() -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    for persona in PERSONAS.values():
        assert take(persona, 1, at, 2) == take(persona, 1, at, 2)
    assert take(PERSONAS["steady-2"], 1, at) != take(PERSONAS["steady-2"], 2, at)


def test_a_daily_outage_comes_every_day_and_never_crosses_midnight() -> None:
    persona = PERSONAS["daily-outage-1"]
    for day in range(40):
        at = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(days=day)
        start, end = outage_of_day(persona, 9, at)
        assert start.date() == end.date() == at.date()
        assert timedelta(minutes=20) < end - start < timedelta(minutes=70)
        assert take(persona, 9, start).fault == "overloaded_529"
        assert take(persona, 9, end).fault == "none"
