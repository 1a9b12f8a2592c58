"""The one place where a credential meets a host.

A :class:`Session` is bound to one origin. Its credentials are attached here and only here, after the target was
compared with that origin; redirects are not followed. Which variable may be used at all follows from
:func:`pipelines.fleet.resolve.key_env`: a vendor's usual key for the vendor's own host, any other host only when
fleet.yaml names the variable for it.
"""

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from pipelines.discovery.model import DiscoveryError, DiscoveryOutcome
from pipelines.fleet.models import Provider, Tls
from pipelines.fleet.problems import without_secrets
from pipelines.fleet.providers import provider_type
from pipelines.fleet.resolve import key_env, key_owner, origin

MAX_BODY = 32_000_000
"""Bytes of one page; the largest known list (OpenRouter) is under 2 MB."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Signer = Callable[[str, Mapping[str, str]], Mapping[str, str]]
"""URL and headers to the headers that authenticate them."""


@dataclass
class Session:
    """Requests to one provider's list; holds its credentials and lets them go to its origin only."""

    client: httpx.AsyncClient = field(repr=False)
    base_url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers that authenticate."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of fleet.yaml; they may be secret too and are treated alike."""
    signer: Signer | None = field(default=None, repr=False)
    pages: int = 0

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of a page under the base URL.

        Raises:
            DiscoveryError: refused, limited, unreachable, failing, or not JSON; and when the target is another host.
        """
        url = urljoin(self.base_url.rstrip("/") + "/", path.lstrip("/"))
        if params:
            url = str(httpx.URL(url, params=dict(params)))
        if origin(url) != origin(self.base_url):
            raise DiscoveryError("malformed", f"the list points at another host ({_host(url)}); no key was sent there")
        headers = {"accept": "application/json", "user-agent": "arguslab", **self.headers, **self.credentials}
        if self.signer is not None:
            headers |= self.signer(url, headers)
        status, body, location = await self._fetch(url, headers)
        self.pages += 1
        _judge_status(status, body, location, url, has_key=bool(self.credentials or self.signer))
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise DiscoveryError(
                "malformed", f"{_host(url)} answered {status} with something that is not JSON"
            ) from error

    async def _fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes, str | None]:
        host = _host(url)
        try:
            async with self.client.stream("GET", url, headers=headers, follow_redirects=False) as response:
                parts, size = [], 0
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > MAX_BODY:
                        raise DiscoveryError(
                            "malformed", f"{host} sent more than {MAX_BODY // 1_000_000} MB for one page"
                        )
                    parts.append(chunk)
                return response.status_code, b"".join(parts), response.headers.get("location")
        except httpx.TimeoutException as error:
            raise DiscoveryError(
                "unreachable", f"{host} did not answer in time; check the network and base_url"
            ) from error
        except httpx.ConnectError as error:
            raise DiscoveryError(
                "unreachable", f"{host} cannot be reached: {_reason(error)}; check base_url"
            ) from error
        except httpx.DecodingError as error:
            raise DiscoveryError("malformed", f"{host} sent a body that cannot be decompressed") from error
        except httpx.LocalProtocolError as error:
            raise DiscoveryError(
                "no_key", "the key or a header holds characters that HTTP forbids; set it again"
            ) from error
        except httpx.HTTPError as error:
            raise DiscoveryError("unreachable", f"{host} broke off: {type(error).__name__}; try again later") from error


def open_client(tls: Tls, base_url: str, timeout_s: float) -> httpx.AsyncClient:
    """Return a client for one provider, with its certificate rules.

    Proxies of the environment are honoured except for this machine itself.

    Raises:
        DiscoveryError: A certificate file cannot be read.
    """
    try:
        context: ssl.SSLContext | bool = tls.verify
        if tls.verify and (tls.ca_file or tls.client_cert_file):
            context = ssl.create_default_context(cafile=tls.ca_file)
            if tls.client_cert_file:
                context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise DiscoveryError("unreachable", f"a certificate file cannot be used: {error}; correct `tls:`") from error
    is_local = (urlsplit(base_url).hostname or "") in LOOPBACK
    return httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        trust_env=not is_local,
        follow_redirects=False,
    )


def base_of(provider: Provider) -> str | None:
    """Return the address that a provider's list is asked from; None where only the shape's own module knows it."""
    return provider.base_url or provider_type(provider.type).base_url


def key_of(provider: Provider, env: Mapping[str, str]) -> str | None:
    """Return the key that may be sent to this provider; None where none is named.

    Raises:
        DiscoveryError: ``no_key`` when the named variable is unset, or belongs to another vendor.
    """
    variable = key_env(provider)
    if variable is None:
        return None
    owner = key_owner(variable)
    if provider.base_url is None and owner not in (None, provider.type):
        message = f"{variable} is the key of {owner} and is not sent to {provider.type}; name the right variable"
        raise DiscoveryError("no_key", message)
    value = env.get(variable, "").strip()
    if not value:
        raise DiscoveryError("no_key", f"the environment variable {variable} is not set; export {variable}=…")
    return value


def headers_of(provider: Provider, env: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that fleet.yaml asks for, values of ``headers_env`` filled in.

    Raises:
        DiscoveryError: ``no_key`` when a named variable is unset.
    """
    headers = dict(provider.headers)
    for name, variable in provider.headers_env.items():
        if not env.get(variable):
            raise DiscoveryError("no_key", f"the environment variable {variable} is not set; export {variable}=…")
        headers[name] = env[variable].strip()
    return headers


def _judge_status(status: int, body: bytes, location: str | None, url: str, *, has_key: bool) -> None:
    if status == 200:
        return
    host, said = _host(url), _said(body)
    if 300 <= status < 400:
        target = urlsplit(urljoin(url, location or "")).hostname or "nowhere"
        message = f"{host} redirects to {target}; redirects are not followed, so write the final address as base_url"
        raise DiscoveryError("malformed", message)
    lowered = body[:4000].lower()
    # Gemini and xAI answer 400 to a wrong key.
    if status in (401, 403) or (status == 400 and (b"api key" in lowered or b"api_key" in lowered)):
        remedy = "check the key" if has_key else "name the key's variable with api_key_env"
        raise DiscoveryError("auth", f"{host} refused with {status}{said}; {remedy}")
    kinds: dict[int, tuple[DiscoveryOutcome, str]] = {
        402: ("rate_limited", "the account has no credit left"),
        404: ("not_supported", "there is no model list at this address; correct base_url or name the models"),
        405: ("not_supported", "there is no model list at this address; correct base_url or name the models"),
        407: ("unreachable", "the proxy wants a login"),
        408: ("unreachable", "try again later"),
        429: ("rate_limited", "asked too often; the next discovery tries again"),
        501: ("not_supported", "name the models under `models:`"),
    }
    outcome, remedy = kinds.get(status, ("server_error", "try again later") if status >= 500 else ("malformed", ""))
    raise DiscoveryError(outcome, f"{host} answered {status}{said}" + (f"; {remedy}" if remedy else ""))


def _said(body: bytes) -> str:
    """Return the provider's own words, shortened, without anything that looks like a key."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = answer.get("error", answer) if isinstance(answer, dict) else {}
    text = error if isinstance(error, str) else error.get("message") if isinstance(error, dict) else None
    return f" ({without_secrets(' '.join(text.split()))[:160]})" if isinstance(text, str) and text else ""


def _reason(error: httpx.ConnectError) -> str:
    text = str(error)
    if "CERTIFICATE" in text.upper() or "SSL" in text.upper():
        return f"its certificate is not accepted ({text[:120]})"
    if "Name or service" in text or "nodename" in text or "getaddrinfo" in text or "name resolution" in text:
        return "its name does not resolve"
    return "connection refused" if "refused" in text or "All connection attempts failed" in text else text[:120]


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
