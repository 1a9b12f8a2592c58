"""`arguslab up` as a person starts it: real processes, a real UI, real figures, and a clean end on Ctrl-C."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest

ARGUSLAB = str(Path(sys.executable).with_name("arguslab"))
FIRST_FIGURES_S = 240
"""A bound against hanging for ever, not a measure of speed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """This machine's environment without anything that names a provider, a home or a proxy."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"NO_COLOR": "1", "COLUMNS": "200"}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    with (folder / "out.txt").open("w") as out:
        return subprocess.Popen(
            [ARGUSLAB, *words], cwd=folder, env=environment(), stdout=out, stderr=subprocess.STDOUT, text=True
        )


def refused(folder: Path, *words: str, port: int | None = None, **env: str) -> str:
    """What `up` says when it ends by itself with code 1."""
    done = subprocess.run(
        [ARGUSLAB, "up", *words, "--port", str(port or free_port())],
        cwd=folder,
        env=environment() | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def said(folder: Path) -> str:
    return (folder / "out.txt").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.e2e
def test_a_stranger_sees_figures_in_the_ui_the_marts_and_a_page_and_ctrl_c_ends_it_all(folder: Path) -> None:
    port = free_port()
    up = start(folder, "up", "--demo", "--port", str(port))
    try:
        deadline = time.monotonic() + FIRST_FIGURES_S
        while "✓ watching" not in said(folder):
            assert up.poll() is None, said(folder)
            assert "✗" not in said(folder), said(folder)
            assert time.monotonic() < deadline, said(folder)
            time.sleep(0.5)
        home = folder / ".arguslab" / "demo"
        with duckdb.connect(str(home / "marts.duckdb"), read_only=True) as marts:
            probes, endpoints, demo = marts.sql("""
                select count(*), count(distinct endpoint_id), bool_and(is_demo) from fct_probe where kind <> 'backfill'
            """).fetchall()[0]
            assert probes >= 10
            assert (endpoints, demo) == (10, True)
            assert marts.sql("select count(*) from live.endpoint_now").fetchall() == [(10,)]
        page = (home / "site" / "index.html").read_text(encoding="utf-8")
        assert "Simulated" in page
        assert "sim-openai" in page
        info = httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=30)
        assert info.json()["dagster_webserver_version"]

        second = refused(folder, "--demo")
        assert "already runs" in second
        assert f"process {up.pid}" in second
    finally:
        up.send_signal(signal.SIGINT)
        code = up.wait(120)
    assert code == 0, said(folder)
    assert "Stopped" in said(folder)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/server_info")
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(home) not in left


def test_a_home_that_cannot_be_written_is_told_with_a_remedy(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    words = refused(folder, "--demo", ARGUSLAB_HOME=str(folder / "file"))
    assert "cannot be written" in words
    assert "set ARGUSLAB_HOME" in words


def test_a_port_that_is_taken_is_told_with_another_one(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is taken; give another one" in refused(folder, "--demo", port=port)


def test_an_invalid_fleet_file_is_told_line_by_line_before_anything_starts(folder: Path) -> None:
    (folder / "fleet.yaml").write_text(
        "version: 1\nintervall: 5m\nproviders:\n  a: {type: openai, base_url: nowhere}\n"
    )
    words = refused(folder)
    assert "intervall" in words
    assert ":2" in words
    assert "base_url" in words
    assert not (folder / ".arguslab" / "dagster").exists()
