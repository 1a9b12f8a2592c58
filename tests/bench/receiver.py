"""A loopback receiver of alerts: what Slack, or anybody's webhook, would have been sent, and when."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Message:
    """One POST."""

    at: float
    """Monotonic seconds."""
    path: str
    body: dict[str, Any]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Return (subject, kind) of every incident that a webhook's message tells of."""
        return [(incident["subject"], self.body["kind"]) for incident in self.body.get("incidents", ())]


@dataclass
class Inbox:
    """Everything that was received, in order."""

    url: str
    messages: list[Message] = field(default_factory=list)

    def told(self, path: str) -> list[Message]:
        """Return what was sent to one path."""
        return [message for message in self.messages if message.path == path]


@contextmanager
def receiver() -> Iterator[Inbox]:
    """Listen on a free port of this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            inbox.messages.append(Message(time.monotonic(), self.path, body))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inbox = Inbox(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
