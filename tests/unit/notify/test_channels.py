"""Channels against real HTTP receivers on loopback."""

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Never

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.fleet.models import Alerting, AppriseChannel, Channel, ConsoleChannel, SlackChannel, WebhookChannel
from pipelines.notify.channels import deliver, heartbeat, signature, verify_signature
from pipelines.notify.channels.slack import cut, escape, slack_payload
from pipelines.notify.channels.webhook import JSON_SCHEMA, webhook_payload
from pipelines.notify.model import DeliveryResult, Notice
from tests.unit.notify.kit import NOW, incident, notice

ALERTING = Alerting(page_base_url="https://status.example")
SLACK = SlackChannel(type="slack", webhook_url_env="HOOK")
HOOK = WebhookChannel(type="webhook", url_env="HOOK", secret_env="KEY")


class Receiver:
    """An HTTP server that keeps what it was sent and answers as it is told."""

    def __init__(self) -> None:
        self.heard = []
        self.status, self.headers, self.body = 200, {}, b"ok"
        self.free = threading.Event()
        self.is_hanging = self.is_dripping = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.heard.append((self.path, dict(self.headers), body))
                if receiver.is_hanging:
                    receiver.free.wait(10)
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                if receiver.is_dripping:
                    self.end_headers()
                    while not receiver.free.wait(0.02):
                        self.wfile.write(b".")
                    return
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            do_GET = do_POST  # noqa: N815  the name that http.server calls

            def log_message(self, *args: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # The client went away, as it should.
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/T0/secret-token"

    def close(self) -> None:
        self.free.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as made:
        yield made


def send(channel: Channel, client: httpx.Client, url: str, said: Notice | None = None, **more: Any) -> DeliveryResult:
    env = {"HOOK": url, "KEY": "s3cret"}
    return deliver(channel, said or notice(), env, client=client, now=NOW, alerting=ALERTING, **more)


def test_slack_hears_headline_facts_links_and_context(receiver: Receiver, client: httpx.Client) -> None:
    result = send(SLACK, client, receiver.url)
    assert (result.is_delivered, result.error, result.attempt) == (True, None, 1)
    (path, headers, body) = receiver.heard[0]
    payload = json.loads(body)
    assert path == "/T0/secret-token"
    assert headers["Content-Type"].startswith("application/json")
    assert payload["text"].startswith("DOWN: openai/gpt-4o — 3 of 3 attempts failed since 13:58 UTC")
    kinds = [block["type"] for block in payload["blocks"]]
    assert kinds == ["header", "section", "section", "actions", "context"]
    assert payload["blocks"][0]["text"]["text"] == ":red_circle: DOWN: openai/gpt-4o"
    fields = [field["text"] for field in payload["blocks"][2]["fields"]]
    assert "*Errors*\nserver_error ×3" in fields
    assert [button["text"]["text"] for button in payload["blocks"][3]["elements"]] == ["Check in Dagster", "Page"]
    assert payload["blocks"][4]["elements"][0]["text"] == "incident 0123456789abcdef · location home"


WILD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=400) | st.sampled_from(
    ["<!channel> & <https://evil|click>", "&" * 4000, "<" * 1500, "x" * 5000]
)


@given(WILD, WILD, st.integers(1, 80), st.sampled_from(["opened", "resolved", "reminder"]))
def test_slack_limits_hold_for_any_text(summary: str, subject: str, count: int, kind: str) -> None:
    many = [
        incident(
            incident_id=f"{k}", subject=subject, summary=summary, owner=summary, detail={"error_mix": {summary: 2}}
        )
        for k in range(count)
    ]
    payload = slack_payload(notice(*many, kind=kind), ALERTING)
    assert len(payload["blocks"]) <= 50
    assert len(payload["text"]) <= 3000
    for block in payload["blocks"]:
        if block["type"] == "header":
            assert 0 < len(block["text"]["text"]) <= 150
            assert block["text"]["type"] == "plain_text"
            continue
        assert len(block.get("fields", [])) <= 10
        assert all(0 < len(field["text"]) <= 2000 for field in block.get("fields", []))
        texts = [field["text"] for field in block.get("fields", [])]
        texts += [block["text"]["text"]] if "text" in block else []
        texts += [e["text"] for e in block.get("elements", []) if e["type"] == "mrkdwn"]
        for text in texts:
            assert 0 < len(text) <= 3000
            assert "<" not in text
            assert ">" not in text


def test_slack_text_is_escaped_and_never_cut_inside_an_entity() -> None:
    assert escape("a & <b>") == "a &amp; &lt;b&gt;"
    assert cut("&amp;" * 3, 8) == "&amp;…"
    assert cut("short", 5) == "short"


def test_a_webhook_is_signed_and_carries_its_key_and_schema(receiver: Receiver, client: httpx.Client) -> None:
    assert send(HOOK, client, receiver.url).is_delivered
    _, headers, body = receiver.heard[0]
    assert headers["Idempotency-Key"] == "n1"
    assert verify_signature("s3cret", body, headers["X-ArgusLab-Signature"], now=NOW)
    payload = json.loads(body)
    assert payload["schema"] == "arguslab.notice/1"
    assert payload["incidents"][0]["started_at"] == "2026-11-20T13:58:00Z"
    assert payload["incidents"][0]["duration_s"] == 120
    assert set(payload["incidents"][0]["links"]) == {"Check in Dagster", "Page"}


def conforms(value: Any, schema: dict[str, Any]) -> None:
    """As much of JSON Schema as the documented one uses."""
    names = schema.get("type", [])
    types = {"object": dict, "array": list, "string": str, "number": (int, float), "boolean": bool, "null": type(None)}
    if names:
        assert isinstance(
            value,
            tuple(
                types[n] if not isinstance(types[n], tuple) else float
                for n in ([names] if isinstance(names, str) else names)
            )
            + ((int,) if "number" in names else ()),
        ), (value, schema)
    if "const" in schema:
        assert value == schema["const"]
    if "enum" in schema:
        assert value in schema["enum"]
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", [])) <= set(value)
        assert set(value) <= set(schema["properties"])
        for name, inner in value.items():
            conforms(inner, schema["properties"][name])
    if isinstance(value, list):
        for inner in value:
            conforms(inner, schema["items"])


@pytest.mark.parametrize("kind", ["opened", "resolved", "flapping"])
def test_the_webhook_body_is_as_documented(kind: str) -> None:
    said = notice(incident(), incident(incident_id="x", resolved_at=NOW, provider=None), kind=kind)
    conforms(json.loads(json.dumps(webhook_payload(said, ALERTING))), JSON_SCHEMA)


def test_an_unsigned_webhook_has_no_signature(receiver: Receiver, client: httpx.Client) -> None:
    plain = WebhookChannel(type="webhook", url=receiver.url)
    assert send(plain, client, "").is_delivered
    assert "X-ArgusLab-Signature" not in receiver.heard[0][1]


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40))
def test_a_signature_is_of_exactly_this_body_secret_and_time(body: bytes, key: str) -> None:
    header = signature(key, body, NOW)
    assert verify_signature(key, body, header, now=NOW)
    assert not verify_signature(key, body + b" ", header, now=NOW)
    assert not verify_signature(key + "x", body, header, now=NOW)
    assert not verify_signature(key, body, header, now=NOW + timedelta(minutes=6))
    assert not verify_signature(key, body, header.replace("t=", "t=1"), now=NOW)


@given(st.text(max_size=60))
def test_no_header_makes_verification_crash(header: str) -> None:
    assert not verify_signature("k", b"", header, now=NOW)
    assert not verify_signature("k", b"", f"t=١٢,v1={header}", now=NOW)


def test_a_server_error_is_a_result_that_names_no_secret(receiver: Receiver, client: httpx.Client) -> None:
    receiver.status, receiver.body = 500, b"secret-token in a body"
    for channel in (SLACK, HOOK):
        result = send(channel, client, receiver.url, attempt=3)
        assert (result.is_delivered, result.error, result.attempt) == (False, "HTTP 500 Internal Server Error", 3)


def test_too_many_requests_say_when_to_come_back(receiver: Receiver, client: httpx.Client) -> None:
    receiver.status = 429
    for given_, expected in (("120", 120), ("Fri, 20 Nov 2026 14:05:00 GMT", 300), ("soon", None), ("-3", None)):
        receiver.headers = {"Retry-After": given_}
        assert send(SLACK, client, receiver.url).retry_after_s == expected


def test_a_redirect_is_not_followed(receiver: Receiver, client: httpx.Client) -> None:
    receiver.status, receiver.headers = 302, {"Location": receiver.url + "/elsewhere"}
    result = send(SLACK, client, receiver.url)
    assert "redirects elsewhere" in result.error
    assert len(receiver.heard) == 1
    assert "secret-token" not in result.error


def test_a_receiver_that_hangs_costs_no_more_than_the_timeout(receiver: Receiver, client: httpx.Client) -> None:
    receiver.is_hanging = True
    for channel in (SLACK, HOOK):
        assert send(channel, client, receiver.url, timeout_s=0.2).error == "no answer within 0.2 s"


def test_a_receiver_that_drips_for_ever_is_left_alone(receiver: Receiver, client: httpx.Client) -> None:
    receiver.is_dripping = True
    assert send(SLACK, client, receiver.url, timeout_s=0.3).is_delivered


def test_nobody_listening_is_a_result(client: httpx.Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = send(SLACK, client, f"http://127.0.0.1:{unused.getsockname()[1]}/secret-token")
    assert result.error == "the connection failed (ConnectError)"


@pytest.mark.parametrize("url", ["nonsense", "http://[bad", "ftp://secret-token", "https://\x00secret-token"])
def test_an_invalid_url_is_a_result_that_does_not_quote_it(client: httpx.Client, url: str) -> None:
    result = send(SLACK, client, url)
    assert not result.is_delivered
    assert "secret-token" not in result.error


def test_a_missing_variable_is_named_with_the_remedy(client: httpx.Client) -> None:
    result = deliver(SLACK, notice(), {}, client=client, now=NOW, alerting=ALERTING)
    assert result.error == "the environment variable HOOK is not set; set it and restart"


def apprise_url(receiver: Receiver) -> str:
    return receiver.url.replace("http://", "json://")


APPRISE = AppriseChannel(type="apprise", url_env="HOOK")


def test_apprise_services_hear_title_and_body(receiver: Receiver, client: httpx.Client) -> None:
    result = send(APPRISE, client, apprise_url(receiver))
    assert result.is_delivered, result.error
    payload = json.loads(receiver.heard[0][2])
    assert payload["title"].startswith("DOWN: openai/gpt-4o")
    assert "Errors: server_error ×3" in payload["message"]
    assert payload["type"] == "failure"


def test_apprise_failures_are_results(receiver: Receiver, client: httpx.Client) -> None:
    receiver.status = 500
    assert (
        send(APPRISE, client, apprise_url(receiver)).error == "the service refused the message or could not be reached"
    )
    assert "apprise does not know this URL" in send(APPRISE, client, "nosuch://secret-token").error
    receiver.is_hanging = True
    assert send(APPRISE, client, apprise_url(receiver), timeout_s=0.2).error == "no answer within 0.2 s"


def test_the_console_shows_the_message_as_it_is(client: httpx.Client) -> None:
    stream = io.StringIO()
    said = notice(incident(summary="[bold]not markup[/bold]"))
    assert send(ConsoleChannel(type="console"), client, "", said, stream=stream).is_delivered
    assert "DOWN: openai/gpt-4o — [bold]not markup[/bold]\n" in stream.getvalue()
    assert "Last good: 13:53 UTC" in stream.getvalue()


def test_a_closed_console_is_a_result(client: httpx.Client) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> Never:
            raise BrokenPipeError(32, "Broken pipe")

    assert "Broken pipe" in send(ConsoleChannel(type="console"), client, "", stream=Broken()).error


def test_the_heartbeat_asks_its_url_and_keeps_it_to_itself(receiver: Receiver, client: httpx.Client) -> None:
    assert heartbeat(receiver.url, client=client, now=NOW) is None
    assert receiver.heard[0][0] == "/T0/secret-token"
    receiver.status = 404
    assert heartbeat(receiver.url, client=client, now=NOW) == "HTTP 404 Not Found"
