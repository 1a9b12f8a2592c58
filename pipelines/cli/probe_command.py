"""placeholder until the wire is there."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
