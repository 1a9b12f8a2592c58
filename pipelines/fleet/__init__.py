"""fleet.yaml: frozen models, provider facts, and the endpoints that follow from them. Knows no Dagster."""

from pipelines.fleet.models import Endpoint, Fleet
from pipelines.fleet.resolve import resolve

__all__ = ["Endpoint", "Fleet", "resolve"]
