"""`alerts`: what is open, and what people say about it: acknowledge, silence, try a channel."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import complete
from pipelines.cli.console import USAGE, fail, out, print_json

if TYPE_CHECKING:
    from pipelines.home import Home

Note = Annotated[str | None, typer.Option("--note", "-m", help="Why; stands in the audit trail.", show_default=False)]
alerts = typer.Typer(no_args_is_help=True, help="Open incidents, acknowledgements, silences and channels.")


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(
        alerts, name="alerts", rich_help_panel="Commands", epilog="Example: [bold]arguslab alerts list[/bold]"
    )


@alerts.command("list", epilog="Example: [bold]arguslab alerts list --json[/bold]")
def list_open(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List open incidents and the silences in force."""
    from pipelines.cli.known import open_incidents, silences
    from pipelines.home import Home

    home, now = Home.locate(), datetime.now(UTC)
    incidents, quiet = open_incidents(home, now=now), silences(home, now)
    if as_json:
        print_json({"incidents": incidents, "silences": quiet})
        return
    from rich.markup import escape
    from rich.table import Table

    console = out()
    if not incidents:
        console.print("[green]No incident is open.[/green]")
    else:
        table = Table("incident", "severity", "state", "subject", "promise", "for", "acknowledged", "summary", box=None)
        for row in incidents:
            lasted = _age(now - row["started_at"]) if row["started_at"] else "–"
            known = "yes" if row["is_acknowledged"] else "no"
            cells = (row["incident_id"], row["severity"], row["state_to"], row["subject"], row["promise"])
            table.add_row(*(escape(cell) for cell in cells), lasted, known, escape(row["summary"]))
        console.print(table)
    for row in quiet:
        until = f"until {row['until']:%Y-%m-%d %H:%M} UTC" if row["until"] else "until unsilenced"
        console.print(f"silenced: {row['target']} {until} by {row['by']}", markup=False)


@alerts.command(epilog="Example: [bold]arguslab alerts ack 3f9c0a1b -m 'looking at it'[/bold]")
def ack(
    incident: Annotated[str, typer.Argument(help="Its id, or the beginning.", autocompletion=complete.incidents)],
    note: Note = None,
) -> None:
    """Acknowledge an incident: reminders and escalation stop, recovery is still told."""
    from pipelines.cli.known import open_incidents
    from pipelines.home import Home

    home = Home.locate()
    found = [row["incident_id"] for row in open_incidents(home) if row["incident_id"].startswith(incident)]
    if len(found) != 1:
        what = (
            f"no open incident begins with {incident!r}" if not found else f"{incident!r} begins {len(found)} incidents"
        )
        fail(what, "See their ids with: arguslab alerts list", USAGE)
    _say(home, "ack", found[0], None, note)
    out().print(f"[green]✓[/green] acknowledged {found[0]}; it counts from the next evaluation")


@alerts.command(epilog="Example: [bold]arguslab alerts silence 'openai/*' --for 2h -m 'planned work'[/bold]")
def silence(
    pattern: Annotated[str, typer.Argument(help="provider/model pattern.", autocompletion=complete.endpoints)],
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h or 1d.")] = "2h",
    note: Note = None,
) -> None:
    """Tell nobody about the endpoints of a pattern for a while; they are still probed and judged."""
    from pipelines.fleet.units import parse_positive_duration
    from pipelines.home import Home

    try:
        until = datetime.now(UTC) + parse_positive_duration(lasts)
    except (ValueError, OverflowError) as error:
        fail(str(error).partition("; ")[0], "Write a duration such as 30m, 2h or 1d", USAGE)
    _say(Home.locate(), "silence", pattern, until, note)
    out().print(f"[green]✓[/green] {pattern} is silent until {until:%Y-%m-%d %H:%M} UTC", markup=True)


@alerts.command(epilog="Example: [bold]arguslab alerts unsilence 'openai/*'[/bold]")
def unsilence(
    pattern: Annotated[str, typer.Argument(help="The pattern as it was silenced.")],
    note: Note = None,
) -> None:
    """End a silence."""
    from pipelines.cli.known import silences
    from pipelines.home import Home

    home = Home.locate()
    standing = [row["target"] for row in silences(home, datetime.now(UTC))]
    if pattern not in standing:
        fail(f"{pattern!r} is not silenced", f"Silenced now: {', '.join(standing) or 'nothing'}", USAGE)
    _say(home, "unsilence", pattern, None, note)
    out().print(f"[green]✓[/green] {pattern} is heard again")


def _say(home: "Home", action: str, target: str, until: datetime | None, note: str | None) -> None:
    """Land what a person said; the alert sensor reads it at its next step."""
    import getpass
    import uuid

    from pipelines.landing import Landing

    try:
        by = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        by = "unknown"
    command_id = uuid.uuid4().hex
    row: dict[str, Any] = {
        "command_id": command_id,
        "at": datetime.now(UTC),
        "action": action,
        "target": target,
        "until": until,
        "by": by,
        "note": note,
    }
    Landing(str(home.root)).append("alert_commands", [row], command_id)


def _age(lasted: Any) -> str:
    minutes = int(lasted.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"


@alerts.command(epilog="Example: [bold]arguslab alerts test slack[/bold]")
def test(
    channel: Annotated[str, typer.Argument(help="Its name in fleet.yaml.", autocompletion=complete.channels)],
) -> None:
    """Send a message, clearly marked as a test, through a channel. Exit code 1 when it was not taken."""
    import os
    import uuid

    import httpx

    from pipelines.fleet.load import load_fleet
    from pipelines.home import Home
    from pipelines.notify.channels import deliver
    from pipelines.notify.model import Incident, Notice

    fleet = load_fleet(Home.locate().fleet_file).fleet
    if channel not in fleet.channels:
        fail(f"no channel is called {channel!r}", f"fleet.yaml has: {', '.join(fleet.channels)}", USAGE)
    now = datetime.now(UTC)
    name = f"test-{uuid.uuid4().hex[:12]}"
    incident = Incident(
        incident_id=name,
        promise="availability",
        subject="arguslab/test",
        severity="minor",
        state="UP",
        started_at=now,
        opened_at=now,
        summary="This is a test of the channel, sent by hand. Nothing is wrong.",
        remedy="Nothing needs to be done.",
        detail={},
    )
    notice = Notice(
        notice_id=f"{name}:opened:{channel}",
        kind="opened",
        channel=channel,
        at=now,
        location=fleet.location,
        incidents=(incident,),
    )
    with httpx.Client(follow_redirects=False) as client:
        result = deliver(fleet.channels[channel], notice, os.environ, client=client, now=now, alerting=fleet.alerting)
    if not result.is_delivered:
        what, _, remedy = (result.error or "the channel did not take it").partition("; ")
        fail(f"{channel}: {what}", remedy or "Check the channel's variables and its service")
    out().print(f"[green]✓[/green] {channel} took the test message")
