"""What most people would write: ``litellm.acompletion(stream=True)`` and a stop watch; one process, one core.

Prints one JSON object of the same shape as ours.
"""

import argparse
import asyncio
import json
import os
import time
import uuid

from tests.bench.peers import PROMPT
from tests.bench.sample import Sample
from tests.bench.truth import MODEL, TOKENS, pin


async def ask(url: str) -> Sample:
    """Stream one chat and time its content chunks."""
    import litellm

    request_id = uuid.uuid4().hex
    started = time.perf_counter()
    answer = await litellm.acompletion(
        model=f"openai/{MODEL}",
        messages=[{"role": "user", "content": PROMPT}],
        stream=True,
        max_tokens=TOKENS,
        api_base=url,
        api_key="none",
        extra_headers={"x-request-id": request_id},
    )
    arrivals = [time.perf_counter() async for chunk in answer if chunk.choices and chunk.choices[0].delta.content]
    gap = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
    return Sample(request_id, (arrivals[0] - started) * 1e3, gap * 1e3)


async def run(url: str, streams: int, requests: int, *, is_cold: bool) -> dict[str, object]:
    """Return what was measured of ``requests`` chats, ``streams`` open at any moment, after as many others."""
    turn = asyncio.Semaphore(streams)

    async def one() -> Sample:
        async with turn:
            return await ask(url)

    if not is_cold:
        await asyncio.gather(*(one() for _ in range(streams)))
    cpu, wall = time.process_time(), time.perf_counter()
    taken = await asyncio.gather(*(one() for _ in range(requests)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "samples": [vars(sample) for sample in taken],
        "refused": 0,
        "cpu_ms_per_stream": cpu * 1e3 / requests,
        "streams_per_s": requests / wall,
    }


def main() -> None:
    """Measure and print the samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1)
    parser.add_argument("--load", choices=("steady", "cold"), default="steady")
    args = parser.parse_args()
    pin(1)
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    print(json.dumps(asyncio.run(run(args.url, args.streams, args.requests, is_cold=args.load == "cold"))))


if __name__ == "__main__":
    main()
