"""What stands in the way of a home on this machine: one finding per question, each with a remedy."""

import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import httpx
from packaging.requirements import Requirement

from pipelines.discovery.access import LOOPBACK, base_of
from pipelines.fleet.load import load_fleet
from pipelines.fleet.models import Fleet
from pipelines.fleet.problems import FleetError
from pipelines.fleet.resolve import key_env
from pipelines.home import Home

Level = Literal["ok", "warn", "fail"]
MALICIOUS_LITELLM = ("1.82.7", "1.82.8")
"""Releases that were not the maintainers' own and stole secrets; never to be run."""
LOW_DISK = 0.9
CLOCK_TOLERANCE = timedelta(seconds=5)
STALE_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    topic: str
    level: Level
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"topic": self.topic, "level": self.level, "message": self.message, "remedy": self.remedy}


def examine(
    home: Home,
    env: Mapping[str, str],
    *,
    port: int = 3000,
    offline: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Finding]:
    """Return the findings, in the order in which they matter at start-up."""
    findings = [python_version(), *packages(), litellm_version(_installed("litellm"))]
    findings += [home_writable(home.root), disk(home.root), lock(home), free_port(port, home)]
    fleet_finding, fleet = fleet_file(home.fleet_file)
    findings.append(fleet_finding)
    if fleet is not None:
        findings += keys(fleet, env)
        if not offline:
            findings.append(clock(fleet, now))
    findings.append(marts(home, now()))
    return findings


def python_version() -> Finding:
    """Judge the interpreter."""
    text = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("python", "ok", text)
    return Finding("python", "fail", f"{text} is not supported", "Use Python 3.11, 3.12 or 3.13")


def packages(name: str = "arguslab") -> list[Finding]:
    """Compare what is installed with what the package asks for."""
    try:
        wanted = [Requirement(line) for line in requires(name) or []]
    except PackageNotFoundError:
        return [Finding("packages", "warn", f"{name} runs from its source, not installed", "Run: make setup")]
    wrong = []
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _installed(requirement.name)
        if found is None:
            wrong.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} is not {requirement.specifier}")
    if wrong:
        return [Finding("packages", "fail", "; ".join(wrong), "Install the pinned set: make setup")]
    return [Finding("packages", "ok", f"{len(wanted)} requirements are met")]


def litellm_version(found: str | None) -> Finding:
    """Refuse the two releases that stole secrets."""
    if found is None:
        return Finding("litellm", "fail", "litellm is not installed", "Install the pinned set: make setup")
    if found in MALICIOUS_LITELLM:
        remedy = "Uninstall it, have every key of this machine issued anew, then install the pinned set"
        return Finding("litellm", "fail", f"{found} is malicious: it sends secrets away", remedy)
    return Finding("litellm", "ok", found)


def home_writable(root: Path) -> Finding:
    """Judge whether the home, or the folder that will hold it, takes files."""
    folder = root
    while not folder.exists():
        folder = folder.parent
    probe = folder / f".arguslab-doctor-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        message = f"{folder} does not take files: {error.strerror}"
        return Finding("home", "fail", message, "Set ARGUSLAB_HOME to a folder of yours")
    return Finding("home", "ok", f"{root} is writable" if root.exists() else f"{root} will be created")


def disk(root: Path) -> Finding:
    """Judge the disk's fill."""
    folder = root
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    free = f"{usage.free / 1e9:,.1f} GB free, {1 - usage.free / usage.total:.0%} used"
    if usage.free < 200_000_000:
        return Finding("disk", "fail", free, "Free some space: facts cannot be landed on a full disk")
    if 1 - usage.free / usage.total > LOW_DISK:
        return Finding("disk", "warn", free, "Free some space, or shorten `retention:` in fleet.yaml")
    return Finding("disk", "ok", free)


def lock(home: Home) -> Finding:
    """Say who runs on this home."""
    file = home.root / "lock"
    if not file.exists():
        return Finding("lock", "ok", "nothing runs on this home")
    try:
        with file.open("r") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = held.read().strip() or "another process"
                return Finding("lock", "ok", f"arguslab up runs on this home: {holder}")
    except OSError as error:
        return Finding("lock", "fail", f"{file}: {error.strerror}", "Check who owns the home")
    return Finding("lock", "ok", "nothing runs on this home")


def free_port(port: int, home: Home) -> Finding:
    """Judge whether the UI's port can be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if lock(home).message.startswith("arguslab up"):
                return Finding("port", "ok", f"{port} is in use, presumably by the arguslab that runs here")
            message = f"{port} is taken ({error.strerror})"
            return Finding("port", "fail", message, f"Use another: arguslab up --port {port + 1}")
    return Finding("port", "ok", f"{port} is free")


def fleet_file(path: Path) -> tuple[Finding, Fleet | None]:
    """Judge fleet.yaml; its own command tells the details."""
    if not path.exists():
        return Finding(
            "fleet", "warn", f"{path} does not exist yet", "`arguslab up` or `arguslab init` writes it"
        ), None
    try:
        loaded = load_fleet(path)
    except FleetError as error:
        first = error.problems[0]
        more = f" and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        return Finding("fleet", "fail", f"{first.where}: {first.message}{more}", "See all: arguslab check"), None
    warned = len(loaded.problems)
    if warned:
        return Finding("fleet", "warn", f"valid, with {warned} warnings", "See them: arguslab check"), loaded.fleet
    return Finding("fleet", "ok", f"valid, {len(loaded.fleet.providers)} providers"), loaded.fleet


def keys(fleet: Fleet, env: Mapping[str, str]) -> list[Finding]:
    """Say by name which keys are set."""
    found = []
    for name, provider in fleet.providers.items():
        variable = key_env(provider)
        if variable is None or provider.enabled is False:
            continue
        if env.get(variable):
            found.append(Finding("key", "ok", f"{name}: {variable} is set"))
        else:
            found.append(Finding("key", "fail", f"{name}: {variable} is not set", f"export {variable}=…"))
    return found


def clock(fleet: Fleet, now: Callable[[], datetime]) -> Finding:
    """Compare this machine's clock with the Date header of an endpoint's host; no key is sent."""
    bases = [base for provider in fleet.providers.values() if (base := base_of(provider)) is not None]
    # An HTTPS host first: it is somebody else's clock, and nobody on the way can turn it.
    for base in sorted(bases, key=lambda base: not base.startswith("https")):
        is_local = httpx.URL(base).host in LOOPBACK
        try:
            with httpx.Client(timeout=5, trust_env=not is_local, follow_redirects=False) as client:
                date = next(iter(client.head(base).headers.get_list("date")), "")
            offset = now() - parsedate_to_datetime(date)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError):
            continue
        host = httpx.URL(base).host
        if abs(offset) > CLOCK_TOLERANCE:
            message = f"this machine is {offset.total_seconds():+.0f} s off the clock of {host}"
            return Finding("clock", "warn", message, "Turn on time synchronisation (chrony, systemd-timesyncd)")
        return Finding("clock", "ok", f"within {CLOCK_TOLERANCE.seconds} s of {host}")
    return Finding("clock", "warn", "no endpoint's host told its time", "Check the network, or use --offline")


def marts(home: Home, now: datetime) -> Finding:
    """Say which generation readers see, and how old it is."""
    if not home.marts.exists():
        return Finding("marts", "warn", "nothing is published yet", "Start with: arguslab up")
    target = home.marts.resolve()
    age = now - datetime.fromtimestamp(target.stat().st_mtime, UTC)
    text = f"{target.stem}, {int(age.total_seconds() // 60)} min old"
    if age > STALE_AFTER:
        return Finding(
            "marts", "warn", text, "If `arguslab up` is running, look at the job `refresh` in the Dagster UI"
        )
    return Finding("marts", "ok", text)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
