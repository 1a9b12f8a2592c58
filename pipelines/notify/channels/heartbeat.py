"""The dead-man's switch: a URL that is asked while the watcher lives; silence there means that it does not."""

from datetime import datetime

import httpx

from pipelines.notify.channels.post import TIMEOUT_S, request


def heartbeat(url: str, *, client: httpx.Client, now: datetime, timeout_s: float = TIMEOUT_S) -> str | None:
    """Ask the URL; return None when it answered well, or what went wrong, without the URL."""
    return request(client, "GET", url, now=now, timeout_s=timeout_s).error
