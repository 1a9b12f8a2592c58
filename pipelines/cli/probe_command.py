"""`probe`: ask endpoints once, now, without Dagster; the very same measurement as the scheduled probes."""

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import complete
from pipelines.cli.console import OK, PROBLEM, USAGE, err, fail, out, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from pipelines.fleet import Endpoint
    from pipelines.home import Home

SHORTEST_WATCH_S = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: [bold]arguslab probe 'openai/*' --json[/bold]   (in CI: the exit code tells)")(probe)


def probe(
    endpoints: Annotated[
        list[str] | None,
        typer.Argument(help="Ids or provider/model patterns; all by default.", autocompletion=complete.endpoints),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    watch: Annotated[
        int | None, typer.Option("--watch", metavar="SECONDS", min=SHORTEST_WATCH_S, help="Repeat until Ctrl-C.")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Ask a failing endpoint again, as scheduled probes do.")
    ] = False,
    record: Annotated[bool, typer.Option("--record/--no-record", help="Land the rows, as kind `manual`.")] = False,
) -> None:
    """Ask endpoints once and show what they did: outcome, time to first token, speed, answer, cost.

    Exit code 1 when an attempt that counts against the endpoint failed, or when it could not be asked for a reason
    on our side (key, quota, request). Being rate limited is neither.
    """
    from pipelines.fleet.load import load_fleet
    from pipelines.home import Home

    home = Home.locate()
    fleet = load_fleet(home.fleet_file).fleet
    chosen = _chosen(home, fleet, endpoints or [], quiet=as_json)
    is_bad = False
    try:
        while True:
            rows = _probe_once(fleet, chosen, home, confirm=confirm, record=record, live=not as_json)
            if as_json:
                print_json(rows)
            is_bad = any(is_failure(row) for row in rows) or not rows
            if watch is None:
                break
            time.sleep(watch)
    except KeyboardInterrupt:
        err().print("[dim]stopped[/dim]")
    raise typer.Exit(PROBLEM if is_bad else OK)


def is_failure(row: dict[str, Any]) -> bool:
    """Return whether an attempt should fail a build: it counts and is bad, or it is our own mistake."""
    return (row["is_counted"] and not row["is_good"]) or row["blame"] == "us"


def speed(row: dict[str, Any]) -> float | None:
    """Return decode speed in tokens per second: ``(n_out - n_first) / (t_last - t_token)``; None where undefined."""
    if row["output_tokens"] is None or row["t_token_us"] is None or row["t_last_us"] is None:
        return None
    tokens = row["output_tokens"] - (row["first_event_tokens"] or 1)
    microseconds = row["t_last_us"] - row["t_token_us"]
    return float(tokens * 1e6 / microseconds) if tokens >= 1 and microseconds > 0 else None


def _chosen(home: "Home", fleet: Any, patterns: list[str], *, quiet: bool) -> "tuple[Endpoint, ...]":
    """Return the endpoints to ask; providers never discovered before are discovered now."""
    import asyncio
    from fnmatch import fnmatchcase

    from pipelines.cli.known import listed_models
    from pipelines.discovery import discover_all
    from pipelines.fleet import resolve

    listed = {name: list(models) for name, models in listed_models(home).items()}
    exact = [pattern.partition("/") for pattern in patterns if not set("*?[") & set(pattern)]
    wanted = {
        name
        for name, provider in fleet.providers.items()
        if provider.enabled is not False
        and (not patterns or any(fnmatchcase(name, pattern.partition("/")[0]) for pattern in patterns))
    }
    new = frozenset(name for name in wanted if fleet.providers[name].models.discover and name not in listed)
    if new and not all(any(name == one[0] and one[2] for one in exact) for name in new):
        if not quiet:
            err().print(f"[dim]discovering the models of {', '.join(sorted(new))} …[/dim]")
        for name, found in asyncio.run(discover_all(fleet, os.environ, only=new)).items():
            listed[name] = list(found.kept)
            if found.message and found.outcome not in ("ok", "not_supported"):
                err().print(f"[yellow]![/yellow] {name}: {found.message}", markup=True)
    for name, slash, model in exact:
        # A model that is named outright is asked even when no list has it.
        if slash and name in fleet.providers and fleet.providers[name].models.discover:
            listed[name] = [*listed.get(name, []), model]
    found_endpoints = resolve(fleet, listed)
    ids = [endpoint.endpoint_id for endpoint in found_endpoints]
    for pattern in patterns:
        if not any(fnmatchcase(one, pattern) for one in ids):
            known = [*ids, *(f"{name}/*" for name in fleet.providers if not any(i.startswith(f"{name}/") for i in ids))]
            rest = f" and {len(known) - 5} more" if len(known) > 5 else ""
            fail(f"{pattern!r} matches no endpoint", f"There are: {', '.join(known[:5])}{rest}", USAGE)
    if not found_endpoints:
        fail("the fleet has no endpoint to ask", "Look at: arguslab discover")
    return tuple(
        endpoint
        for endpoint in found_endpoints
        if not patterns or any(fnmatchcase(endpoint.endpoint_id, pattern) for pattern in patterns)
    )


def _probe_once(
    fleet: Any, chosen: "tuple[Endpoint, ...]", home: "Home", *, confirm: bool, record: bool, live: bool
) -> list[dict[str, Any]]:
    """Return one row per attempt, per ``schemas.ProbeResult``, while a table follows along."""
    import asyncio
    import uuid
    from datetime import UTC, datetime

    from rich.live import Live

    from pipelines.wire.attempt import Attempt
    from pipelines.wire.prepare import prepare
    from pipelines.wire.rows import probe_row
    from pipelines.wire.sweep import SweepSettings, sweep

    tick_id = f"manual-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    console = out()
    if live:
        err().print("[dim]compiling the requests …[/dim]")
    # What the scheduled probes remember spares LiteLLM's import of several seconds; it is only read here.
    templates, budgets = _remembered(home, "templates.json"), _remembered(home, "budgets.json")
    jobs = prepare(chosen, os.environ, tick_id=tick_id, confirm=confirm, templates=templates, budgets=budgets)
    longest = max(endpoint.timeouts.total.total_seconds() for endpoint in chosen)
    settings = SweepSettings(
        tick_id=tick_id,
        kind="manual",
        # Nobody waits for the next tick here: every endpoint gets its own timeouts in full.
        budget_s=longest * (4 if confirm else 1) + 15,
        proxy_env=dict(os.environ),
        ca_file=os.environ.get("SSL_CERT_FILE"),
    )
    done: dict[str, dict[str, Any]] = {}
    shown = Live(console=console, auto_refresh=False, transient=False)

    def follow(attempt: Attempt) -> None:
        done[attempt.endpoint.endpoint_id] = probe_row(attempt, tick_id=tick_id, location=fleet.location)
        if live and sys.stdout.isatty():
            shown.update(table_of(chosen, done), refresh=True)

    if live and sys.stdout.isatty():
        with shown:
            shown.update(table_of(chosen, done), refresh=True)
            result = asyncio.run(sweep(jobs, settings=settings, on_attempt=follow))
    else:
        result = asyncio.run(sweep(jobs, settings=settings, on_attempt=follow))
        if live:
            console.print(table_of(chosen, done))
    rows = [
        probe_row(
            attempt,
            tick_id=tick_id,
            location=fleet.location,
            is_maintained=fleet.is_maintained(attempt.endpoint.endpoint_id, attempt.started_at),
        )
        for attempt in result.attempts
    ]
    if live and result.reference_error_p50_ns is not None:
        bar = abs(result.reference_error_p50_ns) / 1e6
        console.print(f"[dim]our own error, by a loopback reference: {bar:.1f} ms at the median[/dim]")
    if record:
        _land(home, rows, tick_id)
    return rows


def table_of(chosen: "tuple[Endpoint, ...]", done: dict[str, dict[str, Any]]) -> "Table":
    """Return the table of a probe, finished or under way."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("", box=None)
    table.add_column("endpoint", overflow="fold", min_width=min(40, max(len(e.endpoint_id) for e in chosen)))
    table.add_column("outcome", no_wrap=True)
    for title in ("TTFT", "tokens/s", "answer", "cost"):
        table.add_column(title, justify="right")
    table.add_column("message", overflow="fold")
    for endpoint in chosen:
        row = done.get(endpoint.endpoint_id)
        if row is None:
            table.add_row("[dim]…[/dim]", escape(endpoint.endpoint_id), "[dim]asking[/dim]")
            continue
        colour = "red" if is_failure(row) else "green" if row["is_good"] else "yellow"
        mark = {"red": "✗", "green": "✓", "yellow": "!"}[colour]
        ttft = "–" if row["t_token_us"] is None else f"{row['t_token_us'] / 1000:,.0f} ms"
        tps = speed(row)
        answer = {True: "right", False: "[yellow]wrong[/yellow]", None: "–"}[row["is_answer_right"]]
        cost = "unknown" if row["cost_usd"] is None else f"${row['cost_usd']:.6f}"
        table.add_row(
            f"[{colour}]{mark}[/{colour}]",
            escape(endpoint.endpoint_id),
            f"[{colour}]{row['outcome']}[/{colour}]",
            ttft,
            "–" if tps is None else f"{tps:,.1f}",
            answer,
            cost,
            escape(row["error_message"] or ""),
        )
    return table


def _remembered(home: "Home", name: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads((home.state / name).read_bytes())
    except (OSError, ValueError):
        return {}  # nothing was probed here yet
    return found if isinstance(found, dict) else {}


def _land(home: "Home", rows: list[dict[str, Any]], tick_id: str) -> None:
    from pipelines.landing import Landing

    landed = Landing(str(home.root)).append("probe_results", rows, tick_id)
    err().print(f"[dim]landed {landed.rows} rows of kind manual[/dim]")
    if landed.rejected:
        fail(f"{landed.rejected} rows break the contract: {'; '.join(landed.reasons)}", f"See {landed.rejected_file}")
