"""What every part of the bench is told."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""


class BenchError(Exception):
    """A part of the bench could not be measured; the message says why."""


@dataclass(frozen=True)
class Options:
    """How much to measure and where to work."""

    work: Path
    """A temporary folder, removed afterwards."""
    repeats: int = 3
    is_quick: bool = False
    is_cold_start: bool = False
    """Measure `make up` with nothing cached too: it downloads every package."""
    say: Callable[[str], None] = print

    def folder(self, name: str) -> Path:
        """Return a folder of a part's own."""
        path = self.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def cache() -> Path:
    """Return where the peers' environments are kept between runs."""
    return Path(os.environ.get("ARGUSLAB_BENCH_CACHE") or Path.home() / ".cache" / "arguslab-bench")


def environment(**own: str) -> dict[str, str]:
    """Return the environment of a child that runs this checkout."""
    return os.environ | {"PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "True"} | own
