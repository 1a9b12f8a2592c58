"""The house: who may import whom, proven from the source, and what the watch location may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORES = {"wire", "connectors", "spans", "notify", "discovery", "demo", "fleet", "schemas", "landing", "home"}
DOMAINS = {
    "probes",
    "benchmarks",
    "billing",
    "scoring",
    "traces",
    "marts",
    "reports",
    "alerts",
    "advice",
    "housekeeping",
}

MAY = {
    "fleet": set(),
    "wire": {"fleet"},
    "schemas": {"wire"},  # the outcome classes are part of the contract
    "home": set(),
    "landing": {"schemas"},
    "warehouse": {"home"},
    "notify": {"fleet", "wire"},
    "discovery": {"fleet"},
    "demo": {"fleet", "wire", "schemas", "landing", "home", "notify"},
    "deploy": set(),
    "resources": {"fleet", "home", "landing", "schemas"},
    "probes": {"fleet", "schemas", "landing", "home", "resources", "wire", "discovery"},
    "marts": {"home", "landing", "resources", "warehouse"},
    "reports": {"home", "landing", "resources", "warehouse", "fleet"},
    "doctor": {"discovery", "fleet", "home"},
    "alerts": {"fleet", "schemas", "home", "landing", "resources", "warehouse", "notify"},
    "housekeeping": {"fleet", "home", "landing", "resources", "schemas", "warehouse"},
    "watch": {"probes", "alerts", "housekeeping", "resources"},
    "definitions": {"probes", "alerts", "housekeeping", "marts", "reports", "resources", "home"},
    "insight": {"marts", "reports", "resources", "home"},
}
"""Room of ``pipelines`` -> rooms it may import; `cli` may import every one."""

FORBIDDEN = {
    "dagster": CORES | {"evals", "dashboards"},
    "duckdb": CORES | {"evals", "dashboards", "probes"},
    "dagster_dbt": DOMAINS - {"marts"} | CORES,
    "plotly": CORES | DOMAINS,
}


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("pipelines", "evals", "dashboards"):
        for path in sorted((ROOT / top).rglob("*.py")):
            yield room(path), path


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] != "pipelines" or parts[1] == "__init__" else parts[1]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "pipelines")


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_module_imports_only_what_its_room_may(name: str, path: Path) -> None:
    for imported in imports(path):
        parts = imported.split(".")
        if parts[0] == "pipelines" and len(parts) > 1 and parts[1] != name and name != "cli":
            assert name in MAY, f"the room {name} is not drawn: add it to the house"
            assert parts[1] in MAY[name], f"{name} may not import {parts[1]}"
        if parts[0] in {"evals", "dashboards"} and parts[0] != name:
            assert name in {"scoring", "reports", "cli"}, f"{name} may not import {parts[0]}"
        if name in {"evals", "dashboards"}:
            assert parts[0] != "pipelines", f"{name} is a leaf"
        assert name not in FORBIDDEN.get(parts[0], set()), f"{name} may not import {parts[0]}"


def test_no_room_is_drawn_that_is_not_there() -> None:
    rooms = {name for name, _ in modules()}
    assert set(MAY) <= rooms


def test_a_domain_never_imports_another_domain() -> None:
    assert all(not (MAY[name] & DOMAINS) for name in MAY if name in DOMAINS)


def test_the_watch_location_loads_without_the_heavy_libraries() -> None:
    code = "import sys, pipelines.watch; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "litellm",
        "dbt",
        "dagster_dbt",
        "pandas",
        "plotly",
        "apprise",
        "openai",
        "botocore",
        "httpx",
        "duckdb",
    }


@pytest.mark.parametrize("core", sorted((CORES & set(MAY)) | {"evals", "dashboards"}))
def test_a_core_loads_without_dagster_and_litellm(core: str) -> None:
    module = core if core in {"evals", "dashboards"} else f"pipelines.{core}"
    code = f"""
import importlib, pkgutil, sys
module = importlib.import_module({module!r})
for found in pkgutil.walk_packages(getattr(module, "__path__", []), {module + "."!r}):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(" ".join(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(done.stdout.split()) & {"dagster", "litellm", "dbt", "pandas"}


def test_every_file_at_the_top_has_its_place() -> None:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split(
        "\n"
    )
    top = {path.split("/")[0] for path in listed if path and not path.startswith(".")}
    assert top <= {
        *("pipelines", "dbt_project", "evals", "dashboards", "tests"),
        *("workspace.yaml", "pyproject.toml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md", "requirements.lock"),
    }
