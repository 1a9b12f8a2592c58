"""Which models each provider serves: asked from the provider itself, typed answers, rows for the catalog."""

from pipelines.discovery.model import Discovered, DiscoveryOutcome, Listed
from pipelines.discovery.rows import catalog_rows, discovery_rows
from pipelines.discovery.run import discover, discover_all

__all__ = [
    "Discovered",
    "DiscoveryOutcome",
    "Listed",
    "catalog_rows",
    "discover",
    "discover_all",
    "discovery_rows",
]
