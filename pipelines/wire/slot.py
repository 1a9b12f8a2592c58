"""A slot: one HTTP/1.1 client with one connection at most, used by one attempt at a time.

One client per slot, because a shared pool scans all its connections on every request: at 128 streams that adds
0.9 s to the median. All slots of equal TLS settings share one context, because building one costs some 20 ms.
"""

import ssl
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Self
from urllib.parse import urlsplit

import certifi
import httpcore
import httpx

from pipelines.fleet.models import Tls
from pipelines.wire.network import Backend, Clock, Resolve, Resolver, Wire

_KEEPALIVE_S: Final = 60.0


def tls_context(tls: Tls, ca_file: str | None = None) -> ssl.SSLContext:
    """Return the shared context of a provider's TLS settings.

    ``ca_file`` is a bundle for this machine (what ``SSL_CERT_FILE`` names); the provider's own ``ca_file`` goes first.
    Raises OSError (ssl.SSLError is one) when a named file is missing or is no certificate.
    """
    return _context(tls, ca_file)


@lru_cache(maxsize=64)
def _context(tls: Tls, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or ca_file or certifi.where())
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert_file is not None:
        context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def proxy_for(url: str, env: Mapping[str, str]) -> str | None:
    """Return the proxy that the usual variables (``HTTPS_PROXY``, ``NO_PROXY``…) name for a URL, if any."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    settings = {key.lower(): value for key, value in env.items() if key.lower().endswith("_proxy") and value}
    for entry in (part.strip().lower() for part in settings.get("no_proxy", "").split(",")):
        bare = entry.split(":", 1)[0].lstrip(".")
        if entry == "*" or (bare and (host == bare or host.endswith(f".{bare}"))):
            return None
    return settings.get(f"{parts.scheme}_proxy") or settings.get("all_proxy")


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own transport around a pool of one connection that our backend opens.

    ``AsyncHTTPTransport`` takes no network backend; its only state is ``_pool`` (httpx is pinned below 0.29).
    """

    def __init__(self, backend: Backend, context: ssl.SSLContext | None, proxy: str | None) -> None:
        if proxy is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=1,
                max_keepalive_connections=1,
                keepalive_expiry=_KEEPALIVE_S,
                network_backend=backend,
            )
        else:
            via = httpx.Proxy(proxy)
            self._pool = httpcore.AsyncHTTPProxy(
                httpcore.URL(str(via.url)),
                proxy_auth=via.raw_auth,
                proxy_ssl_context=context if via.url.scheme == "https" else None,
                ssl_context=context,
                max_connections=1,
                max_keepalive_connections=1,
                keepalive_expiry=_KEEPALIVE_S,
                network_backend=backend,
            )


class Slot:
    """One client; never share it between attempts that overlap. Close it with :meth:`aclose` or ``async with``.

    No redirect is followed, no cookie kept, no ``.netrc`` read; a proxy is used only when one is handed in.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        resolve: Resolve | None = None,
        proxy: str | None = None,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self.backend = Backend(resolve or Resolver(), clock)
        self.clock = clock
        self.wire: Wire | None = None
        """The connection that the last attempt left open."""
        self.client = httpx.AsyncClient(
            transport=_Transport(self.backend, context or tls_context(Tls()), proxy),
            timeout=None,  # noqa: S113  four budgets of our own bound every attempt
            trust_env=False,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client and its connection."""
        await self.client.aclose()
