"""Marts that are built once for this folder."""

from collections.abc import Iterator

import duckdb
import pytest

from dashboards.site import SiteInputs, render_site
from tests.unit.dashboards import sample_fleet


@pytest.fixture(scope="session")
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    """The usual twelve endpoints, ninety days."""
    with sample_fleet.build(sample_fleet.endpoints()) as connection:
        yield connection


@pytest.fixture(scope="session")
def inputs(marts: duckdb.DuckDBPyConnection) -> SiteInputs:
    """Every query of the site, answered."""
    return sample_fleet.inputs(marts)


@pytest.fixture(scope="session")
def site(inputs: SiteInputs) -> dict[str, bytes]:
    """The site of the usual fleet."""
    return render_site(inputs)
