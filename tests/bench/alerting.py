"""From an outage to a message: the whole house on one endpoint that is taken away and given back."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from pipelines.landing import Landing
from tests.bench.home import fleet_yaml, prepared
from tests.bench.house import free_port, running, wait_for, without_keys
from tests.bench.numbers import of
from tests.bench.options import Options, environment
from tests.bench.receiver import Inbox, Message, receiver
from tests.bench.report import Bar, Section, Table
from tests.bench.truth import truth_server

INTERVAL_S: Final = 60.0
BAR_S: Final = INTERVAL_S + 60.0
OUTAGES: Final = 3
LONGEST_S: Final = 420.0
QUIET_S: Final = 75.0
"""How long is listened for a second message of the same edge: longer than an interval."""

HOW: Final = """\
`arguslab up` on a home of its own, one endpoint on loopback at an interval of one minute, a Slack and a
webhook channel on loopback. An outage is the server's process ending, at a random moment of the minute; recovery is
its return on the same port. Measured from there to the POST of the message. An outage may also burn the error budget:
an incident of its own, told in the same message when both open together."""


def measure(options: Options) -> Section:
    """Script outages and listen."""
    chance = random.Random(7)
    port = free_port()
    rows: list[tuple[str, ...]] = []
    delays: list[float] = []
    with receiver() as inbox, ExitStack() as stack:
        more = (
            "channels: {slack: {type: slack, webhook_url_env: BENCH_SLACK}, "
            f"hook: {{type: webhook, url: '{inbox.url}/hook'}}}}\nroutes: [{{channels: [slack, hook]}}]\n"
        )
        models = ["bench-model"]
        home = prepared(options.folder("alerting"), fleet_yaml({f"http://127.0.0.1:{port}/v1": models}, more=more))
        own = {"ARGUSLAB_HOME": str(home.root), "ARGUSLAB_FLEET": str(home.fleet_file)}
        env = without_keys(environment()) | own | {"BENCH_SLACK": f"{inbox.url}/slack"}
        arguslab = str(Path(sys.executable).with_name("arguslab"))
        server = stack.enter_context(ExitStack())
        server.enter_context(truth_server(core=None, port=port))
        up = stack.enter_context(running([arguslab, "up", "--port", str(free_port())], home.root, env))
        options.say("alerting: `arguslab up` is starting")
        landing = Landing(str(home.root))
        wait_for("two sweeps", lambda: landing.read("probe_ticks").collect().height >= 2, LONGEST_S, up)
        for number in range(1 if options.is_quick else OUTAGES):
            time.sleep(chance.uniform(0, INTERVAL_S))
            options.say(f"alerting: outage {number + 1}")
            began = time.monotonic()
            server.close()
            delays.append(wait_for("alert", _heard(inbox, "opened", number), LONGEST_S, up) - began)
            time.sleep(QUIET_S)
            options.say(f"alerting: recovery {number + 1}, the alert took {delays[-1]:.0f} s")
            back = time.monotonic()
            server.enter_context(truth_server(core=None, port=port))
            well = wait_for("all-clear", _heard(inbox, "resolved", number), LONGEST_S, up) - back
            rows.append((str(number + 1), f"{delays[-1]:.0f}", f"{well:.0f}"))
        time.sleep(QUIET_S)
    hook, slack = inbox.told("/hook"), len(inbox.told("/slack"))
    edges = Counter((message.body["kind"], one["incident_id"]) for message in hook for one in message.body["incidents"])
    outages = sum(len(_of_outage(message)) for message in hook)
    return Section(
        "Alerting",
        HOW,
        bars=(
            Bar(
                "outage to message delivered",
                f"≤ interval + 60 s = {BAR_S:g} s",
                f"{max(delays):.0f} s at most of {len(delays)} outages",
                of(max(delays) <= BAR_S),
            ),
            Bar(
                "messages an incident edge and channel",
                "one",
                f"{len(edges)} edges, {sum(edges.values()) - len(edges)} told twice; {slack} messages on Slack, "
                f"{len(hook)} on the webhook; {outages} edges of {len(delays)} outages",
                of(set(edges.values()) == {1} and slack == len(hook) and outages == 2 * len(delays)),
            ),
        ),
        tables=(Table("Seconds", ("outage", "to the alert", "from recovery to the all-clear"), tuple(rows)),),
    )


def _heard(inbox: Inbox, kind: str, number: int) -> Callable[[], bool]:
    """Return whether more than ``number`` messages of a kind told of the outage, on both channels."""

    def is_there() -> bool:
        hook = inbox.told("/hook")
        kinds = [message.body["kind"] for message in hook if _of_outage(message)]
        return kinds.count(kind) > number and len(inbox.told("/slack")) >= len(hook)

    return is_there


def _of_outage(message: Message) -> list[str]:
    """Return the incidents that are the outage itself; an error budget that burns is an incident of its own."""
    return [one["incident_id"] for one in message.body["incidents"] if one["promise"] == "endpoint_available"]
