"""Our own prober against the ground truth, as the product runs it: compile, sweep, land; one process, one core.

Prints one JSON object. A process of its own, because a first probe is part of what is measured.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path

from pipelines.fleet.models import Endpoint, Limits
from pipelines.landing import Landing
from pipelines.probes import Memory
from pipelines.wire.attempt import Ask, Attempt, Job
from pipelines.wire.compile import compile_request
from pipelines.wire.prompt import Probe
from pipelines.wire.rows import probe_row
from pipelines.wire.sweep import SweepSettings, sweep
from tests.bench.peers import PROMPT
from tests.bench.sample import Sample
from tests.bench.truth import MODEL, TOKENS, pin


def jobs(url: str, count: int, at_once: int, templates: MutableMapping[str, str]) -> list[Job]:
    """Return ``count`` jobs at one provider that may be asked ``at_once``."""
    made = []
    for number in range(count):
        endpoint = Endpoint(
            endpoint_id=f"bench/{number:05}",
            provider="bench",
            provider_type="custom_openai_compatible",
            litellm_provider="openai",
            model=f"{MODEL}-{number % 4}",  # one model may be asked 64 times at once, no more
            dialect="openai",
            base_url=url,
            api_key_env=None,
            limits=Limits(concurrency=at_once, per_model=64),
        )
        probe = Probe(PROMPT, "391")
        request = compile_request(endpoint, probe, TOKENS, {}, templates=templates)
        made.append(Job(endpoint, TOKENS, (Ask(probe, request),)))
    return made


def run(work: list[Job], landing: Landing, tick: str) -> tuple[Attempt, ...]:
    """Sweep once without a spread of the starts, land the rows, return the attempts in the order of their starts."""
    result = asyncio.run(sweep(work, settings=SweepSettings(tick, jitter_s=0.0, budget_s=600.0)))
    rows = [probe_row(attempt, tick_id=tick, location="bench") for attempt in result.attempts]
    landed = landing.append("probe_results", rows, tick)
    if landed.rejected or landed.rows != len(work):
        raise RuntimeError(f"{landed.rows} of {len(work)} rows landed: {landed.reasons}")
    return tuple(sorted(result.attempts, key=lambda attempt: attempt.started_at))


def samples(attempts: Sequence[Attempt]) -> Iterator[Sample]:
    """Return what was measured and not refused as our own fault. Raises RuntimeError for an attempt that failed."""
    for attempt in attempts:
        reading = attempt.reading
        if reading.outcome == "client_fault":
            continue
        if reading.outcome != "ok" or reading.token_ns is None or reading.last_ns is None or not reading.request_id:
            raise RuntimeError(f"{attempt.probe_id}: {reading.outcome}, {reading.error_message}")
        gap = (reading.last_ns - reading.token_ns) / 1e6 / (reading.token_events - 1)
        yield Sample(reading.request_id, reading.token_ns / 1e6, gap)


def main() -> None:
    """Measure and print the samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1)
    parser.add_argument("--load", choices=("steady", "burst", "cold"), default="steady")
    args = parser.parse_args()
    pin(1)
    landing = Landing(str(args.home))
    landing.prepare()
    templates = Memory(args.home / "templates.json")  # as in production: only the first process ever loads LiteLLM
    count = args.requests + args.streams if args.load == "steady" else args.streams
    work = jobs(args.url, count, args.streams, templates.values)
    templates.save()
    if args.load == "burst":
        run(work, landing, "warm-up")
    cpu, wall = time.process_time(), time.perf_counter()
    if args.load == "steady":
        # One sweep that always holds so many streams open; the first of each slot opens a connection and is warm-up.
        measured = run(work, landing, "steady")[args.streams :]
    else:
        # A burst: every stream at the same moment, each on a connection of its own. Cold: nothing went before it.
        rounds = 1 if args.load == "cold" else max(1, args.requests // args.streams)
        measured = tuple(one for number in range(rounds) for one in run(work, landing, f"burst-{number}"))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    taken = list(samples(measured))
    report = {
        "samples": [vars(sample) for sample in taken],
        "refused": len(measured) - len(taken),
        "cpu_ms_per_stream": cpu * 1e3 / len(measured),
        "streams_per_s": len(measured) / wall,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
