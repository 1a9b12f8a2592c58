"""`sql`: questions to the published marts, from the command line or at a prompt. Read-only, never in anybody's way."""

import csv
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.console import PROBLEM, USAGE, err, fail, out, print_json

if TYPE_CHECKING:
    import duckdb

HELP = """\
End a statement with a semicolon. Commands:
  .tables          every table and view, with its columns counted
  .schema NAME     the columns of one
  .mode MODE       table, csv or json
  .quit            leave (so does Ctrl-D)"""
MODES = ("table", "csv", "json")
MAX_ROWS = 200
"""Rows that a table shows; csv and json have no limit."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Example: [bold]arguslab sql --csv 'select endpoint_id, uptime from fct_slo order by uptime'[/bold]"
    )(sql)


def sql(
    query: Annotated[str | None, typer.Argument(help="One statement; without it a prompt opens.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """Ask the published marts. They are opened read-only: nothing you type can change or block them."""
    if as_csv and as_json:
        fail("--csv and --json exclude each other", "Give one of them", USAGE)
    from pipelines.home import Home
    from pipelines.warehouse import open_marts

    mode = "csv" if as_csv else "json" if as_json else "table"
    con = open_marts(Home.locate())
    try:
        if query is None and not sys.stdin.isatty():
            query = sys.stdin.read()
        if query is None:
            _prompt(con, mode)
        elif not _answer(con, query, mode):
            raise typer.Exit(PROBLEM)
    finally:
        con.close()


def _answer(con: "duckdb.DuckDBPyConnection", query: str, mode: str) -> bool:
    """Run a statement and print its rows; return whether it ran."""
    import duckdb

    try:
        cursor = con.execute(query)
        names = [column[0] for column in cursor.description or []]
        rows = cursor.fetchall() if names else []
    except duckdb.Error as error:
        lines = str(error).splitlines()
        err().print(f"[red]✗[/red] {lines[0]}", markup=True)
        for line in lines[1:]:
            err().print(f"  {line}", markup=False)
        remedy = "`.tables` lists" if mode == "" else '`arguslab sql "show all tables"` lists'
        err().print(f"  → {remedy} what there is; the marts are read-only", markup=False)
        return False
    _print(names, rows, mode)
    return True


def _print(names: list[str], rows: list[tuple[Any, ...]], mode: str) -> None:
    if mode == "json":
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif mode == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif names:
        from rich.table import Table
        from rich.text import Text

        table = Table(*names, box=None)
        for row in rows[:MAX_ROWS]:
            table.add_row(*(Text("–", style="dim") if value is None else Text(str(value)) for value in row))
        console = out()
        console.print(table)
        rest = f", {MAX_ROWS} shown" if len(rows) > MAX_ROWS else ""
        console.print(f"[dim]{len(rows):,} {'row' if len(rows) == 1 else 'rows'}{rest}[/dim]")


def _prompt(con: "duckdb.DuckDBPyConnection", mode: str) -> None:
    """Read statements until Ctrl-D, with history over sessions."""
    _history()
    console = out()
    console.print("The published marts, read-only. [dim].help lists the commands, Ctrl-D leaves.[/dim]")
    statement = ""
    while True:
        try:
            line = input("arguslab> " if not statement else "     ...> ")
        except EOFError:
            console.print()
            return
        except KeyboardInterrupt:
            statement = ""
            console.print()
            continue
        if not statement and line.strip().startswith("."):
            mode, goes_on = _dot(con, line.strip(), mode)
            if not goes_on:
                return
            continue
        statement += line + "\n"
        if statement.strip() in ("exit", "quit"):
            return
        if not statement.strip():
            statement = ""
        elif statement.rstrip().endswith(";"):
            _answer(con, statement, mode)
            statement = ""


def _dot(con: "duckdb.DuckDBPyConnection", line: str, mode: str) -> tuple[str, bool]:
    """Obey a dot command; return the output mode and whether to go on."""
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if word in (".quit", ".exit"):
        return mode, False
    if word == ".tables":
        query = (
            "select table_schema as schema, table_name as name, count(*) as columns "
            "from information_schema.columns group by all order by all"
        )
        _answer(con, query, "table")
    elif word == ".schema" and rest:
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in rest.split("."))
        _answer(con, f"describe {quoted}", "table")
    elif word == ".mode" and rest in MODES:
        return rest, True
    else:
        out().print(HELP, markup=False)
    return mode, True


def _history() -> None:
    """Keep the prompt's history between sessions, where readline exists."""
    try:
        import readline
    except ImportError:  # Windows: the prompt works without
        return
    import atexit
    from contextlib import suppress

    from pipelines.home import Home

    file = Home.locate().state / "sql_history"
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(1000)

    def save() -> None:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(file)

    atexit.register(save)
