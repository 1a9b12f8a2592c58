"""Starting what will be killed, and reading what it said before."""

import subprocess
import sys

from pipelines.home import Home
from tests.bench.options import ROOT, BenchError, environment


def start(what: str, home: Home, number: int) -> subprocess.Popen[str]:
    """Start a victim and wait for its first word."""
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.victims", what, str(number)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(**home.environment()),
    )
    assert victim.stdout is not None
    if victim.stdout.readline() != "ready\n":
        raise BenchError(f"the victim {what} ended with code {victim.wait()} before it began")
    return victim


def last_words(victim: subprocess.Popen[str]) -> list[str]:
    """Return the whole lines that a victim printed."""
    said, _ = victim.communicate()
    return [line.strip() for line in said.splitlines(keepends=True) if line.endswith("\n")]
