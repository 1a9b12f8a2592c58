"""One measured stream as a client told it, and what the ground truth says of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.bench.options import BenchError
from tests.bench.truth import FIRST_TOKEN_MS, GAP_MS, Truth


@dataclass(frozen=True)
class Sample:
    """What a client measured of one request."""

    request_id: str
    ttft_ms: float
    gap_ms: float
    """Mean gap between two token events."""


@dataclass(frozen=True)
class Errors:
    """A client's errors over one run, one entry a request."""

    ttft_ms: tuple[float, ...]
    """Absolute, against what the server did."""
    ttft_nominal_ms: tuple[float, ...]
    """Signed, against the server's plan."""
    gap_ms: tuple[float, ...]
    """Signed, against what the server did."""
    gap_nominal_ms: tuple[float, ...]
    server_late_ms: tuple[float, ...]
    """The server's own lateness with the first token."""


class NoTruthError(BenchError):
    """A client's requests could not be matched with the server's record."""


def errors(samples: Iterable[Sample], truths: Mapping[str, Truth]) -> Errors:
    """Return what is wrong with each sample. Raises NoTruthError when a request is unknown to the server."""
    taken = list(samples)
    unknown = [sample.request_id for sample in taken if sample.request_id not in truths]
    if unknown or not taken:
        raise NoTruthError(f"{len(unknown)} of {len(taken)} requests are not in the server's record: {unknown[:3]}")
    pairs = [(sample, truths[sample.request_id]) for sample in taken]
    return Errors(
        ttft_ms=tuple(abs(sample.ttft_ms - truth.ttft_ms) for sample, truth in pairs),
        ttft_nominal_ms=tuple(sample.ttft_ms - FIRST_TOKEN_MS for sample, _ in pairs),
        gap_ms=tuple(sample.gap_ms - truth.gap_ms for sample, truth in pairs),
        gap_nominal_ms=tuple(sample.gap_ms - GAP_MS for sample, _ in pairs),
        server_late_ms=tuple(truth.lateness_ms for _, truth in pairs),
    )
