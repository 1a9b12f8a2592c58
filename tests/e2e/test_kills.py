"""`kill -9` at random moments of landing, compacting, building, publishing and alerting: the bench's part, in small."""

from pathlib import Path

import pytest

from tests.bench import kill
from tests.bench.options import Options


@pytest.mark.e2e
def test_killed_at_random_moments_nothing_acknowledged_is_lost_nothing_doubled_no_edge_untold(tmp_path: Path) -> None:
    section = kill.measure(Options(work=tmp_path, is_quick=True))
    assert section.bars
    assert [bar for bar in section.bars if bar.verdict != "holds"] == []
