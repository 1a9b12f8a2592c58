"""How wrong a measured time to first token is: ours, naive LiteLLM, AIPerf and GuideLLM against the ground truth."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.bench.numbers import all_of, at_most, difference, estimate, within
from tests.bench.options import ROOT, BenchError, Options, cache, environment
from tests.bench.peers import PeerError, Peers
from tests.bench.report import Bar, Section, Table
from tests.bench.sample import Errors, NoTruthError, Sample, errors
from tests.bench.truth import TruthServer, truth_server

BARS_MS: Final = {1: (2.0, 12.0), 16: (2.0, 12.0), 64: (5.0, 30.0), 128: (10.0, 70.0)}
"""Streams to the largest allowed p50 and p99 of the error."""
REQUESTS: Final = {1: 40, 16: 160, 64: 320, 128: 512}
"""Per repeat; three repeats give every p99 more than 100 samples."""
QUICK_REQUESTS: Final = {1: 8, 16: 32, 64: 64, 128: 128}
GAP_STREAMS: Final = 64
GAP_BAR_MS: Final = 0.2
COLD_BAR_MS: Final = 5.0
COLD_STARTS: Final = 4

OURS: Final = "ArgusLab"
BURST: Final = "ArgusLab, burst"
NAIVE: Final = "naive LiteLLM"
AIPERF: Final = "AIPerf 0.13.0"
GUIDELLM: Final = "GuideLLM 0.8.1"

HOW: Final = """\
A server of its own process, pinned to core 0, sends the first of 32 tokens after 100 ms and one every 10 ms after it,
and records when it really wrote each one; a client's error is its reported time to first token minus what the server
did for that very request (matched by id). Every client holds the given number of streams open on kept connections,
after a warm-up of as many; they take turns within each repeat, in an order that rotates. ArgusLab runs as in
production (compiled by LiteLLM, swept with its loopback reference, decoded while other streams are open, landed as
Parquet with fsync), one process pinned to core 1; naive LiteLLM is one process on core 1, too. AIPerf and GuideLLM are
multi-process, not pinned, and read from their own exports. A burst is the harder case of one sweep: every stream
starts at the same moment on a new connection, whose set-up counts as error. Intervals: 95 % bootstrap over repeats,
then requests."""

REFUSED_SHARE: Final = 0.01
"""A bar counts only where at most this share of our attempts was refused as measured too late by ourselves."""


@dataclass(frozen=True)
class Run:
    """What one client measured in one run."""

    samples: list[Sample]
    refused: int = 0
    """Attempts that the client itself threw away because it was the bottleneck; only ArgusLab does."""
    cpu_ms: float | None = None
    """A stream, where one process did the work."""


Client = Callable[[str, int, int], Run]
"""(url, streams, requests) to what was measured."""


@dataclass
class Taken:
    """Every run of one client at one number of streams."""

    runs: list[Errors] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def is_trusted(self) -> bool:
        """Whether so few attempts were refused that the others stand for them all."""
        return self.refused <= REFUSED_SHARE * (self.refused + sum(len(run.ttft_ms) for run in self.runs))

    def ttft(self) -> list[tuple[float, ...]]:
        """Return the absolute errors, run by run."""
        return [run.ttft_ms for run in self.runs]

    def gap(self) -> list[tuple[float, ...]]:
        """Return the signed errors of the mean gap, run by run."""
        return [run.gap_ms for run in self.runs]


def measure(options: Options) -> Section:
    """Run every client at every number of streams and compare."""
    peers = Peers(cache(), options.folder("peers"))
    home = str(options.folder("accuracy"))
    clients: dict[str, Client] = {
        OURS: partial(_own, "ours", more=("--home", home)),
        BURST: partial(_own, "ours", more=("--home", home, "--load", "burst")),
        NAIVE: partial(_own, "naive"),
        AIPERF: lambda url, streams, requests: Run(peers.aiperf(url, streams, requests, _warmup(streams))),
        GUIDELLM: lambda url, streams, requests: Run(peers.guidellm(url, streams, requests, _warmup(streams))),
    }
    requests = QUICK_REQUESTS if options.is_quick else REQUESTS
    taken: dict[int, dict[str, Taken]] = {streams: {name: Taken() for name in clients} for streams in BARS_MS}
    cold: dict[str, Taken] = {OURS: Taken(), NAIVE: Taken()}
    failed: dict[str, str] = {}
    with truth_server() as server:
        for repeat in range(options.repeats):
            for streams in BARS_MS:
                for name in _rotated(list(clients), repeat):
                    if name in failed:
                        continue
                    options.say(f"accuracy: repeat {repeat + 1}, {streams} streams, {name}")
                    try:
                        _one(server, clients[name], streams, requests[streams], taken[streams][name])
                    except (PeerError, NoTruthError) as error:
                        failed[name] = str(error)
                        options.say(f"accuracy: {name} is left out: {error}")
            _cold(server, cold, home, 1 if options.is_quick else COLD_STARTS)
    usable = {
        streams: {name: one for name, one in by_client.items() if name not in failed}
        for streams, by_client in taken.items()
    }
    return Section(
        "Accuracy",
        HOW,
        bars=(*_ttft_bars(usable, failed), _gap_bar(usable[GAP_STREAMS]), _cold_bar(cold)),
        tables=(_ttft_table(usable), _gap_table(usable), _cold_table(cold)),
        notes=tuple(f"{name} was not measured: {why}" for name, why in failed.items()),
    )


def _one(server: TruthServer, client: Client, streams: int, requests: int, into: Taken) -> None:
    server.take()
    run = client(server.url, streams, requests)
    into.runs.append(errors(run.samples, server.take()))
    into.refused += run.refused
    if run.cpu_ms is not None:
        into.cpu_ms.append(run.cpu_ms)


def _cold(server: TruthServer, cold: Mapping[str, Taken], home: str, starts: int) -> None:
    """Take the first probe of fresh processes."""
    for number in range(starts):
        # A home of its own has no templates: LiteLLM's import is part of the start.
        fresh = partial(_own, "ours", more=("--load", "cold", "--home", f"{home}/cold-{len(cold[OURS].runs)}-{number}"))
        _one(server, fresh, 1, 1, cold[OURS])
        _one(server, partial(_own, "naive", more=("--load", "cold")), 1, 1, cold[NAIVE])


def _own(module: str, url: str, streams: int, requests: int, *, more: Sequence[str] = ()) -> Run:
    """Run a client of this package in a fresh process. Raises BenchError when it fails."""
    command = [sys.executable, "-m", f"tests.bench.{module}", "--url", url, "--streams", str(streams)]
    done = subprocess.run(
        [*command, "--requests", str(requests), *more],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        check=False,
    )
    if done.returncode:
        raise BenchError(f"tests.bench.{module} failed: {done.stderr[-1_000:]}")
    report = json.loads(done.stdout.splitlines()[-1])
    return Run([Sample(**sample) for sample in report["samples"]], report["refused"], report["cpu_ms_per_stream"])


def _warmup(streams: int) -> int:
    return max(8, streams)


def _rotated(names: Sequence[str], by: int) -> list[str]:
    at = by % len(names)
    return [*names[at:], *names[:at]]


def _ttft_bars(taken: Mapping[int, Mapping[str, Taken]], failed: Mapping[str, str]) -> list[Bar]:
    bars = []
    for streams, (p50_bar, p99_bar) in BARS_MS.items():
        ours, is_trusted = taken[streams][OURS].ttft(), taken[streams][OURS].is_trusted
        p50, p99 = estimate(ours, 0.5), estimate(ours, 0.99)
        bars.append(
            Bar(
                f"TTFT error, {streams} streams, p50 / p99",
                f"≤ {p50_bar:g} / {p99_bar:g} ms",
                f"{p50.words()} / {p99.words()} ms",
                all_of([at_most(p50, p50_bar), at_most(p99, p99_bar), "holds" if is_trusted else "not shown"]),
            )
        )
        for name in (NAIVE, AIPERF, GUIDELLM):
            what = f"TTFT error, {streams} streams, against {name}, p50 / p99"
            if name in failed:
                bars.append(Bar(what, "ours is smaller", failed[name][:80], "not measured"))
                continue
            theirs = taken[streams][name].ttft()
            gaps = [difference(ours, theirs, share) for share in (0.5, 0.99)]
            measured = " / ".join(gap.words() for gap in gaps) + " ms"
            bars.append(Bar(what, "ours is smaller", measured, all_of([at_most(gap, 0.0) for gap in gaps])))
    return bars


def _gap_bar(taken: Mapping[str, Taken]) -> Bar:
    ours = estimate(taken[OURS].gap(), None)
    return Bar(
        f"bias of the inter-chunk gap, {GAP_STREAMS} streams",
        f"≤ {GAP_BAR_MS} ms",
        f"{ours.words(3)} ms",
        within(ours, GAP_BAR_MS),
    )


def _cold_bar(cold: Mapping[str, Taken]) -> Bar:
    ours = estimate(cold[OURS].ttft(), 0.5)
    return Bar("cold first probe, error", f"≤ {COLD_BAR_MS:g} ms", f"{ours.words()} ms", at_most(ours, COLD_BAR_MS))


def _ttft_table(taken: Mapping[int, Mapping[str, Taken]]) -> Table:
    columns = (
        "streams",
        "client",
        "n",
        "refused",
        "p50",
        "p95",
        "p99",
        "against the plan p50 / p99",
        "server late p99",
        "CPU",
    )
    rows = []
    for streams, by_client in taken.items():
        for name, one in by_client.items():
            nominal = [run.ttft_nominal_ms for run in one.runs]
            late = estimate([run.server_late_ms for run in one.runs], 0.99)
            found = [estimate(one.ttft(), share) for share in (0.5, 0.95, 0.99)]
            plan = " / ".join(f"{estimate(nominal, share).value:.1f}" for share in (0.5, 0.99))
            cpu = f"{sum(one.cpu_ms) / len(one.cpu_ms):.1f}" if one.cpu_ms else "several processes"
            counts = (str(streams), name, str(found[0].n), str(one.refused))
            rows.append((*counts, *(one.words() for one in found), plan, f"{late.value:.1f}", cpu))
    return Table("TTFT error, ms (CPU: milliseconds a stream, landing included)", columns, tuple(rows))


def _gap_table(taken: Mapping[int, Mapping[str, Taken]]) -> Table:
    rows = [
        (str(streams), name, estimate(one.gap(), None).words(3))
        for streams, by_client in taken.items()
        for name, one in by_client.items()
    ]
    return Table("Bias of the mean inter-chunk gap, ms", ("streams", "client", "bias"), tuple(rows))


def _cold_table(cold: Mapping[str, Taken]) -> Table:
    rows = []
    for name, one in cold.items():
        values = [value for run in one.ttft() for value in run]
        rows.append((name, str(len(values)), f"{estimate(one.ttft(), 0.5).value:.1f}", f"{max(values):.1f}"))
    return Table("First probe of a fresh process, error, ms", ("client", "n", "median", "largest"), tuple(rows))
