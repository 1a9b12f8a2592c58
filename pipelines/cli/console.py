"""How commands speak: results on stdout, troubles on stderr as one line what and one line what to do."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.console import Console

OK, PROBLEM, USAGE = 0, 1, 2

# Named, not imported: each lives in a module that only some commands load.
_USER_ERRORS = (
    ("pipelines.fleet.problems", "FleetError"),
    ("pipelines.landing", "LandingError"),
    ("pipelines.warehouse", "WarehouseError"),
    ("pipelines.cli.up", "UpError"),
)


class Boundary(TyperGroup):
    """Where errors that the user can mend stop being tracebacks; any other error keeps its own."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; ARGUSLAB_TRACEBACK=1 shows tracebacks after all."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if os.environ.get("ARGUSLAB_TRACEBACK") or not _is_users(error):
                raise
            if problems := getattr(error, "problems", None):
                show_problems(problems)
                raise typer.Exit(PROBLEM) from error
            if isinstance(error, BrokenPipeError):
                # The reader (head, less) has gone: nothing is left to say, and no flush at exit may fail either.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(PROBLEM) from error
            what, _, remedy = str(error).partition("; ")
            if isinstance(error, OSError):
                what = f"{error.filename or 'a file'}: {error.strerror or error}"
                remedy = "Check that it exists and may be read and written"
            fail(what, remedy or "`arguslab doctor` looks for the cause")


def out() -> "Console":
    """Return the console for results; honours NO_COLOR and pipes."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> "Console":
    """Return the console for troubles and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def fail(what: str, remedy: str, code: int = PROBLEM) -> NoReturn:
    """Say what is wrong and what to do, and leave."""
    from rich.markup import escape

    console = err()
    console.print(f"[red]✗[/red] {escape(what)}")
    console.print(f"  → {escape(remedy)}")
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print a value for a program; moments, decimals and paths become text."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_problems(problems: Any) -> None:
    """Print every problem of a fleet file: where, what, remedy."""
    from rich.markup import escape

    console = err()
    for problem in problems:
        is_error = problem.severity == "error"
        mark = "[red]✗[/red]" if is_error else "[yellow]![/yellow]"
        key = f"[bold]{escape(problem.key)}[/bold]: " if problem.key else ""
        console.print(f"{mark} {escape(problem.where)}: {key}{escape(problem.message)}")
        console.print(f"  → {escape(problem.remedy)}")


def _is_users(error: Exception) -> bool:
    if isinstance(error, OSError):
        return True
    kinds = [getattr(sys.modules.get(module), name, None) for module, name in _USER_ERRORS]
    return isinstance(error, tuple(kind for kind in kinds if kind is not None))
