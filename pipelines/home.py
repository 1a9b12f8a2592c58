"""Where state lives: one folder, ``.arguslab`` beside fleet.yaml unless ARGUSLAB_HOME says otherwise."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The paths of one home. Nothing is created until somebody writes."""

    root: Path
    fleet_file: Path

    @classmethod
    def locate(cls, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> "Home":
        """Return the home that the environment names: ARGUSLAB_HOME, ARGUSLAB_FLEET, else the working folder."""
        env = os.environ if env is None else env
        here = cwd or Path.cwd()
        root = here / env.get("ARGUSLAB_HOME", ".arguslab")
        return cls(root.resolve(), (here / env.get("ARGUSLAB_FLEET", "fleet.yaml")).resolve())

    def environment(self) -> dict[str, str]:
        """Return the variables that make a child process find the same home and keep to itself."""
        return {
            "ARGUSLAB_HOME": str(self.root),
            "ARGUSLAB_FLEET": str(self.fleet_file),
            "DAGSTER_HOME": str(self.dagster),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }

    @property
    def landing(self) -> Path:
        """Small files of open days."""
        return self.root / "landing"

    @property
    def archive(self) -> Path:
        """One file a table and closed day."""
        return self.root / "archive"

    @property
    def tapes(self) -> Path:
        """Evidence of failures, redacted, by day."""
        return self.root / "tapes"

    @property
    def warehouse(self) -> Path:
        """The private build database and the published generations."""
        return self.root / "warehouse"

    @property
    def build(self) -> Path:
        """The file that dbt builds in: one writer, no reader, disposable."""
        return self.warehouse / "build.duckdb"

    @property
    def marts(self) -> Path:
        """The symlink that readers open."""
        return self.root / "marts.duckdb"

    @property
    def site(self) -> Path:
        """The static pages."""
        return self.root / "site"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage."""
        return self.root / "dagster"

    @property
    def state(self) -> Path:
        """The last valid fleet.yaml, request templates and other small memories; all of it can be rebuilt."""
        return self.root / "state"

    @property
    def logs(self) -> Path:
        """What the processes of `arguslab up` say, and the console channel's alerts."""
        return self.root / "logs"

    @property
    def first_mark(self) -> Path:
        """There while `arguslab up` makes the first figures by itself."""
        return self.state / "first"
