"""`init`, `check`, `schema`, `discover`: fleet.yaml and what it leads to."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import complete
from pipelines.cli.console import OK, PROBLEM, USAGE, err, fail, out, print_json, show_problems

if TYPE_CHECKING:
    from pipelines.discovery import Discovered
    from pipelines.home import Home


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: [bold]arguslab init && arguslab check[/bold]")(init)
    app.command(epilog="Example: [bold]arguslab check fleet.yaml --strict[/bold]")(check)
    app.command(epilog="Example: [bold]arguslab schema > fleet.schema.json[/bold]")(schema)
    app.command(epilog="Example: [bold]arguslab discover openai ollama --dropped[/bold]")(discover)


def init(
    force: Annotated[bool, typer.Option("--force", help="Replace an existing fleet.yaml.")] = False,
    only_schema: Annotated[bool, typer.Option("--schema", help="Only renew the JSON Schema for editors.")] = False,
) -> None:
    """Write a commented fleet.yaml from the keys and local servers that this machine has."""
    from pipelines.fleet.json_schema import schema_text
    from pipelines.home import Home

    home = Home.locate()
    schema_file = home.root / "fleet.schema.json"
    if not only_schema and home.fleet_file.exists() and not force:
        fail(f"{home.fleet_file} exists already", "Edit it, or replace it with: arguslab init --force")
    schema_file.parent.mkdir(parents=True, exist_ok=True)
    schema_file.write_text(schema_text(), encoding="utf-8")
    console = out()
    if only_schema:
        console.print(f"[green]✓[/green] wrote {schema_file}", soft_wrap=True)
        return
    from pipelines.fleet.detect import detect_now
    from pipelines.fleet.write import fleet_yaml

    detected = detect_now(os.environ)
    for line in detected.lines():
        console.print(f"  found {line}", markup=False, soft_wrap=True)
    if detected.is_empty:
        console.print("  found no provider key and no local server; the file holds examples to uncomment")
    reference = os.path.relpath(schema_file, home.fleet_file.parent)
    home.fleet_file.parent.mkdir(parents=True, exist_ok=True)
    # "x" keeps a file that appeared since the check above.
    with home.fleet_file.open("w" if force else "x", encoding="utf-8") as file:
        file.write(fleet_yaml(detected, schema_reference=reference))
    console.print(f"[green]✓[/green] wrote {home.fleet_file}", soft_wrap=True)
    console.print("  next: arguslab discover, then arguslab up")


def check(
    path: Annotated[Path | None, typer.Argument(help="The file; fleet.yaml (or ARGUSLAB_FLEET) by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
) -> None:
    """Validate fleet.yaml: every problem with its line, key and remedy. Exit code 1 when it cannot be used."""
    from dataclasses import asdict

    from pipelines.fleet.load import load_fleet
    from pipelines.fleet.problems import FleetError
    from pipelines.home import Home

    home = Home.locate()
    file = path or home.fleet_file
    shown = Path(os.path.relpath(file)) if file.is_relative_to(Path.cwd()) else file
    try:
        loaded = load_fleet(shown, env=os.environ, listed=_listed(home))
    except FleetError as error:
        if as_json:
            print_json({"valid": False, "problems": [asdict(problem) for problem in error.problems]})
        else:
            show_problems(error.problems)
            err().print(f"[red]{shown}: {len(error.problems)} {_plural('error', error.problems)}[/red]")
        raise typer.Exit(PROBLEM) from error
    fleet = loaded.fleet
    if as_json:
        valid = {"valid": True, "text_hash": loaded.text_hash}
        print_json({**valid, "problems": [asdict(problem) for problem in loaded.problems]})
    else:
        show_problems(loaded.problems)
        warned = f", {len(loaded.problems)} {_plural('warning', loaded.problems)}" if loaded.problems else ""
        counts = f"{len(fleet.providers)} {_plural('provider', fleet.providers)}"
        out().print(f"[green]✓[/green] {shown} is valid: {counts}{warned}", soft_wrap=True)
    raise typer.Exit(PROBLEM if strict and loaded.problems else OK)


def schema() -> None:
    """Print the JSON Schema of fleet.yaml."""
    from pipelines.fleet.json_schema import schema_text

    typer.echo(schema_text(), nl=False)


def discover(
    providers: Annotated[
        list[str] | None, typer.Argument(help="Names in fleet.yaml; all by default.", autocompletion=complete.providers)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    dropped: Annotated[bool, typer.Option("--dropped", help="Show the models that are not watched, and why.")] = False,
) -> None:
    """Ask the providers for their models. Exit code 1 when one of them could not be asked."""
    import asyncio

    from pipelines.discovery import discover_all
    from pipelines.fleet.load import load_fleet
    from pipelines.home import Home

    fleet = load_fleet(Home.locate().fleet_file).fleet
    unknown = [name for name in providers or [] if name not in fleet.providers]
    if unknown:
        known = ", ".join(fleet.providers) or "none"
        fail(f"no provider is called {unknown[0]!r}", f"fleet.yaml has: {known}", USAGE)
    found = asyncio.run(discover_all(fleet, os.environ, only=frozenset(providers) if providers else None))
    if as_json:
        print_json(
            {
                name: {
                    "outcome": one.outcome,
                    "message": one.message,
                    "pages": one.pages,
                    "models": [{"id": model.id, "kept": model.kept, "rule": model.rule} for model in one.models],
                }
                for name, one in found.items()
            }
        )
    else:
        _show_discovered(found, dropped=dropped)
    failed = [name for name, one in found.items() if one.outcome not in ("ok", "not_supported")]
    raise typer.Exit(PROBLEM if failed else OK)


def _show_discovered(found: "dict[str, Discovered]", *, dropped: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = out()
    if not found:
        console.print("No provider is to be discovered: all of them list their models in fleet.yaml.")
        return
    table = Table("provider", "outcome", "kept", "listed", "pages", "message", box=None)
    for name, one in found.items():
        colour = {"ok": "green", "not_supported": "yellow"}.get(one.outcome, "red")
        listed = str(len(one.models)) if one.outcome == "ok" else "–"
        kept = str(len(one.kept)) if one.outcome == "ok" else "–"
        table.add_row(
            name, f"[{colour}]{one.outcome}[/{colour}]", kept, listed, str(one.pages), escape(one.message or "")
        )
    console.print(table)
    models = Table("endpoint", "watched", "rule", box=None)
    for name, one in found.items():
        for model in one.models:
            if model.kept or dropped:
                models.add_row(escape(f"{name}/{model.id}"), "yes" if model.kept else "no", escape(model.rule))
    if models.row_count:
        console.print(models)


def _listed(home: "Home") -> dict[str, list[str]] | None:
    if not (home.landing / "discovery_results").is_dir():
        return None
    from pipelines.cli.known import listed_models

    return listed_models(home)


def _plural(word: str, things: Any) -> str:
    return word if len(things) == 1 else f"{word}s"
