"""One HTTP request to a channel: time-limited, never redirected, and with errors that name no address."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

TIMEOUT_S = 10.0
"""For the whole of a request."""
_MOST_READ = 64 * 1024


@dataclass(frozen=True)
class Attempt:
    """What came of one try; ``error`` is None when the channel took the message."""

    error: str | None = None
    retry_after_s: float | None = None


class ChannelError(Exception):
    """A channel cannot be used as it is configured; the message says what to do and holds no secret."""


def secret(env: Mapping[str, str], name: str) -> str:
    """Return the value of an environment variable.

    Raises ChannelError when it is not set.
    """
    value = env.get(name, "").strip()
    if not value:
        raise ChannelError(f"the environment variable {name} is not set; set it and restart")
    return value


def request(
    client: httpx.Client,
    method: str,
    url: str,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    now: datetime,
    timeout_s: float = TIMEOUT_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> Attempt:
    """Return what came of the request: anything but a 2xx answer in time is an error in our own words."""
    deadline = monotonic() + timeout_s
    try:
        with client.stream(
            method, url, content=content, headers=headers, timeout=timeout_s, follow_redirects=False
        ) as response:
            read = 0
            # The client's timeout is per read: a peer that drips bytes would hold us for ever.
            for chunk in response.iter_raw():
                read += len(chunk)
                if read > _MOST_READ or monotonic() > deadline:
                    break
            return judge(response, now)
    except httpx.TimeoutException:
        return Attempt(f"no answer within {timeout_s:g} s")
    except httpx.HTTPError as error:
        return Attempt(f"the connection failed ({type(error).__name__})")
    except (httpx.InvalidURL, ValueError):
        # Their messages quote the address, which may be the secret.
        return Attempt("the URL is not valid; correct the variable that holds it")


def judge(response: httpx.Response, now: datetime) -> Attempt:
    """Return the meaning of an answer's status; its body is not quoted, as services echo tokens in it."""
    status = response.status_code
    if 200 <= status < 300:
        return Attempt()
    if 300 <= status < 400:
        return Attempt(f"HTTP {status}: it redirects elsewhere, which is not followed; name the final URL")
    return Attempt(f"HTTP {status} {response.reason_phrase}".rstrip(), _retry_after(response, now))


def _retry_after(response: httpx.Response, now: datetime) -> float | None:
    text: str = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        wait_s: float = (parsedate_to_datetime(text) - now).total_seconds()
        return max(wait_s, 0.0)
    except (TypeError, ValueError):
        return None
