"""``python -m tests.bench [part…]``: measure the bars and write bench-report.md."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.bench.options import ROOT, BenchError, Options
from tests.bench.report import Bar, Machine, Section, markdown, plain

PARTS: Final = {
    "accuracy": "TTFT error, gap bias and cold start beside AIPerf, GuideLLM and naive LiteLLM",
    "sweep": "200 endpoints, 10 hung; what a tick adds to Dagster; load time of the watch location",
    "alerting": "outage to message delivered, one message an edge",
    "marts": "refresh after one tick, a year rebuilt, the same marts again, readers during publication",
    "kill": "kill -9 at random moments of landing, compacting, building, publishing, alerting",
    "startup": "`make up` to first figures",
}
"""Part to what it measures, in the order that they run: the most sensitive first."""


def main() -> int:
    """Measure the chosen parts one after the other; return 1 when a bar is shown not to hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"which: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat: a look, not a proof")
    parser.add_argument("--repeats", type=int, default=3, help="interleaved repeats of the accuracy runs")
    parser.add_argument("--cold", action="store_true", help="startup: with no package cached either; downloads all")
    parser.add_argument("--report", type=Path, default=ROOT / "bench-report.md")
    args = parser.parse_args()
    unknown = [part for part in args.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if args.list:
        print("\n".join(f"{name:10} {what}" for name, what in PARTS.items()))
        return 0
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(1)
    )  # so that every child and folder is cleared away, as on Ctrl-C
    machine = Machine.here()
    with tempfile.TemporaryDirectory(prefix="arguslab-bench-", ignore_cleanup_errors=True) as folder:
        options = Options(
            work=Path(folder),
            repeats=1 if args.quick else args.repeats,
            is_quick=args.quick,
            is_cold_start=args.cold,
            say=lambda words: print(f"{datetime.now(UTC):%H:%M:%S} {words}", flush=True),
        )
        sections = [_measured(name, options) for name in PARTS if name in (args.parts or PARTS)]
    text = markdown(machine, sections, taken_at=datetime.now(UTC), is_quick=args.quick)
    args.report.write_text(text, encoding="utf-8")
    print(f"\n{plain(sections)}\n\nThe figures behind them: {args.report}")
    return int(any(bar.verdict == "does not hold" for section in sections for bar in section.bars))


def _measured(name: str, options: Options) -> Section:
    """Return a part's section; a part that cannot be measured says so and the others go on."""
    measure: Callable[[Options], Section] = import_module(f"tests.bench.{name}").measure
    began = time.monotonic()
    try:
        section = measure(options)
    except BenchError as error:
        options.say(f"{name}: {error}")
        return Section(name.capitalize(), str(error), bars=(Bar(PARTS[name], "", str(error)[:200], "not measured"),))
    options.say(f"{name}: done in {time.monotonic() - began:.0f} s")
    return section


if __name__ == "__main__":
    sys.exit(main())
