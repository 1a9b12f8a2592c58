"""`arguslab …`: the commands. Exit codes: 0 all is well, 1 a problem was found, 2 wrong usage.

Only typer is imported here: `arguslab --help` must answer at once (0.2 s), while polars, httpx, duckdb and litellm
together take seconds. Each command imports what it needs when it runs.
"""

from typing import Annotated

import typer

from pipelines.cli import alert_commands, fleet_commands, probe_command, run_commands, sql_command
from pipelines.cli.console import Boundary

app = typer.Typer(
    name="arguslab",
    cls=Boundary,
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "Are your LLM endpoints up, fast, worth their money and still good?\n\n"
        "Start with [bold]arguslab up[/bold]: it finds what this machine has, or shows a simulated fleet.\n\n"
        "Exit codes: 0 all is well, 1 a problem was found, 2 wrong usage."
    ),
    epilog="State lives in .arguslab (ARGUSLAB_HOME); the fleet is fleet.yaml (ARGUSLAB_FLEET).",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"arguslab {version('arguslab')}")
        except PackageNotFoundError:
            typer.echo("arguslab (not installed: run from its source)")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options that hold for every command."""


run_commands.register(app)
fleet_commands.register(app)
probe_command.register(app)
sql_command.register(app)
alert_commands.register(app)
