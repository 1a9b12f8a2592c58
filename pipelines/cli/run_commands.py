"""`up` and `demo`, `doctor`: the commands that run or examine the whole house."""

from typing import Annotated

import typer

from pipelines.cli.console import PROBLEM, err, fail, out, print_json

UP_EXAMPLE = "Example: [bold]arguslab up --port 3001[/bold]"
DEMO_EXAMPLE = "Example: [bold]arguslab demo --weeks 2[/bold]"
DOCTOR_EXAMPLE = "Example: [bold]arguslab doctor --json[/bold]"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=UP_EXAMPLE)(up)
    app.command(epilog=DEMO_EXAMPLE)(demo)
    app.command(epilog=DOCTOR_EXAMPLE)(doctor)


def up(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Where the Dagster UI listens, on 127.0.0.1.")] = 3000,
    demo: Annotated[bool, typer.Option("--demo", help="Use the simulated fleet.")] = False,
) -> None:
    """Start everything: probes, marts, pages, alerts and the Dagster UI. Ctrl-C stops it all.

    Without a fleet.yaml it looks for provider keys and local servers and writes one; with nothing to find it starts
    the simulated fleet.
    """
    from pipelines.cli.up import run_up

    raise typer.Exit(run_up(demo=demo, history_weeks=3 if demo else 0, port=port))


def demo(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Where the Dagster UI listens, on 127.0.0.1.")] = 3000,
    weeks: Annotated[int, typer.Option(min=0, max=12, help="Weeks of simulated history to write first.")] = 3,
) -> None:
    """Start the simulated fleet, with history, in a home of its own. Needs no key and no network."""
    from pipelines.cli.up import run_up

    raise typer.Exit(run_up(demo=True, history_weeks=weeks, port=port))


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    port: Annotated[int, typer.Option(help="The port that `up` would use.")] = 3000,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out the clock, which asks an endpoint.")] = False,
) -> None:
    """Examine this machine and this home: each line ok, warn or fail, with what to do."""
    import os

    from pipelines.doctor import examine
    from pipelines.home import Home

    findings = examine(Home.locate(), os.environ, port=port, offline=offline)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        from rich.markup import escape

        console = out()
        marks = {"ok": "[green]✓ ok  [/green]", "warn": "[yellow]! warn[/yellow]", "fail": "[red]✗ fail[/red]"}
        for finding in findings:
            console.print(
                f"{marks[finding.level]} [bold]{finding.topic}[/bold]: {escape(finding.message)}", soft_wrap=True
            )
            if finding.remedy:
                console.print(f"         → {escape(finding.remedy)}", soft_wrap=True)
    failed = sum(finding.level == "fail" for finding in findings)
    if failed:
        if as_json:
            raise typer.Exit(PROBLEM)
        fail(f"{failed} of {len(findings)} checks failed", "Mend the lines marked ✗, then run it again")
    err().print("[green]Nothing stands in the way.[/green]")
