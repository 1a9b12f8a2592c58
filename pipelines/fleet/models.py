"""fleet.yaml as frozen models: providers, endpoints, promises, channels, routes, maintenance, retention.

Units: durations are ``timedelta``, shares are 0..1, money is ``Decimal`` US dollars per period.
A secret is always the *name* of an environment variable (``*_env``), never its value.
"""

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, AwareDatetime, Field, field_validator, model_validator

from pipelines.fleet.providers import Dialect, TokenLimit
from pipelines.fleet.units import Duration, Frozen, Money, MoneyPerPeriod, Ratio

Severity = Literal["critical", "major", "minor"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Weekday, ...] = get_args(Weekday)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of an environment variable")]
HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\t\x20-\x7e]*$")]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        meant = next(iter(get_close_matches(name, available_timezones(), n=1)), "Europe/Berlin or UTC")
        raise ValueError(f"{name!r} is not a time zone; write an IANA name such as {meant}")
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]


class Timeouts(Frozen):
    """Four separate budgets of one attempt; each running out is an outcome of its own."""

    connect: Duration = timedelta(seconds=5)
    first_token: Duration = timedelta(seconds=30)
    idle: Duration = timedelta(seconds=15)
    total: Duration = timedelta(seconds=60)


class Limits(Frozen):
    """How hard a provider may be asked: requests at once, and per minute."""

    concurrency: int = Field(8, ge=1, le=256)
    per_model: int = Field(1, ge=1, le=64)
    rpm: int | None = Field(None, ge=1, description="Requests per minute for the whole provider")


class Tls(Frozen):
    """How the server's certificate is judged; ``verify: false`` is for a laboratory only."""

    verify: bool = True
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None


class ModelSelection(Frozen):
    """Which of a provider's models are watched: its own list, filtered by shell-style patterns."""

    discover: bool = True
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    also: tuple[str, ...] = Field((), description="Models watched whether or not the provider lists them")


class Promises(Frozen):
    """What an endpoint is held to. An endpoint's own values replace the fleet's one by one."""

    availability: Ratio = Field(0.99, description="Share of counted attempts that must succeed over the window")
    window: Duration = Field(timedelta(days=30), description="Window of the error budget")
    fail_threshold: int = Field(3, ge=1, description="Bad attempts in a row, confirmations included, that mean down")
    recover_threshold: int = Field(2, ge=1, description="Good attempts in a row that mean up again")
    ttft_p95: Duration | None = Field(None, description="Longest acceptable p95 time to first token")
    ttfo_p95: Duration | None = Field(None, description="Longest acceptable p95 time to first visible output")
    tps_p50: float | None = Field(None, gt=0, description="Lowest acceptable median decode speed, tokens per second")
    latency_factor: float = Field(3.0, gt=1, description="p95 TTFT above this multiple of its baseline is degraded")
    latency_floor: Duration = Field(timedelta(seconds=1), description="A p95 TTFT below this is never degraded")
    throughput_factor: float = Field(0.5, gt=0, lt=1, description="Median TPS below this share of baseline is degraded")
    wrong_answer: Ratio = Field(0.3, description="Share of wrong canary answers that is a quality incident")
    min_samples: int = Field(5, ge=1, description="Attempts that a latency or quality window needs to be judged")


class Project(Frozen):
    """A group of endpoints with an owner and a purse."""

    owner: str | None = None
    probe_budget: MoneyPerPeriod = Field(Money.model_validate("$1/day"), description="Probing stops at this cost")
    labels: dict[str, str] = {}


class _Tuning(Frozen):
    """What may be set for a provider and again for one endpoint; None means not set here."""

    enabled: bool | None = None
    interval: Duration | None = None
    prompt: str | None = Field(None, max_length=20_000, description="Replaces the arithmetic canary")
    expect: str | None = Field(None, description="Text that the answer to `prompt` must contain")
    max_tokens: int | None = Field(None, ge=1, le=32_000)
    token_limit: TokenLimit | None = None
    params: dict[str, Any] = Field({}, description="Further request parameters, e.g. temperature or reasoning_effort")
    timeouts: Timeouts | None = None
    allowed_models: tuple[str, ...] | None = Field(None, description="Patterns that the answering model may match")
    promises: Promises | None = None
    owner: str | None = None
    labels: dict[str, str] = {}

    @field_validator("interval")
    @classmethod
    def _at_least_a_minute(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < timedelta(minutes=1):
            raise ValueError("the shortest interval is 1m")
        return value


class Provider(_Tuning):
    """One account at one provider, or one local server."""

    type: str = Field(
        pattern=r"^[A-Za-z0-9_.-]+$", description="One of the sixteen types of the README, or any LiteLLM provider name"
    )
    base_url: str | None = Field(None, pattern=r"^https?://[^\s/?#]+\S*$")
    api_key_env: EnvName | None = None
    project: Name = "default"
    region: str | None = Field(None, description="AWS or Google Cloud region")
    gcp_project: str | None = None
    api_version: str | None = Field(None, description="Azure OpenAI api-version")
    dialect: Dialect | None = None
    headers: dict[HeaderName, HeaderValue] = {}
    headers_env: dict[HeaderName, EnvName] = Field(
        {}, description="Header name to environment variable that holds its value"
    )
    limits: Limits = Limits()
    tls: Tls = Tls()
    models: ModelSelection = ModelSelection()

    @field_validator("models", mode="before")
    @classmethod
    def _list_of_models(cls, value: Any) -> Any:
        return {"discover": False, "also": tuple(value)} if isinstance(value, list | tuple) else value


class EndpointOverride(_Tuning):
    """Settings for the endpoints that a ``provider/model`` pattern matches; later patterns win."""

    project: Name | None = None


class ConsoleChannel(Frozen):
    """Alerts on the standard output of ``arguslab up``."""

    type: Literal["console"]


class SlackChannel(Frozen):
    """A Slack incoming webhook; its URL is a secret."""

    type: Literal["slack"]
    webhook_url_env: EnvName


class WebhookChannel(Frozen):
    """A JSON POST, signed with HMAC-SHA256 when a secret is named."""

    type: Literal["webhook"]
    url: str | None = Field(None, pattern=r"^https?://")
    url_env: EnvName | None = None
    secret_env: EnvName | None = None

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("a webhook needs exactly one address; write either url or url_env")
        return self


class AppriseChannel(Frozen):
    """Any service of the apprise library: e-mail, PagerDuty, Teams, Discord and so on."""

    type: Literal["apprise"]
    url_env: EnvName = Field(description="Variable that holds the apprise URL, e.g. pagerduty://…")


Channel = Annotated[ConsoleChannel | SlackChannel | WebhookChannel | AppriseChannel, Field(discriminator="type")]


class Route(Frozen):
    """Which channels hear of which incidents: every given condition must hold; no condition means all."""

    channels: tuple[Name, ...] = Field(min_length=1)
    projects: tuple[Name, ...] = ()
    severities: tuple[Severity, ...] = ()
    owners: tuple[str, ...] = ()
    final: bool = Field(False, description="Later routes are not asked once this one matched")


class Maintenance(Frozen):
    """A window in which endpoints are probed but nobody is told and no promise is judged.

    Either one-off (``start`` and ``end``) or recurring (``days``, ``from``, ``for`` in ``timezone``).
    """

    name: str
    endpoints: tuple[str, ...] = Field(("*",), description="provider/model patterns")
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    days: tuple[Weekday, ...] = ()
    from_: Annotated[str | None, Field(alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = None
    lasts: Annotated[Duration | None, Field(alias="for")] = None
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        one_off = self.start is not None or self.end is not None
        recurring = bool(self.days) or self.from_ is not None or self.lasts is not None
        if one_off == recurring:
            raise ValueError(
                "a window is either one-off or recurring; write either start and end, or days, from and for"
            )
        if one_off and not (self.start and self.end and self.start < self.end):
            raise ValueError("a one-off window must start before it ends; write both start and end, with a time zone")
        if recurring and not (self.from_ and self.lasts):
            raise ValueError("a recurring window lacks its times; write both from (HH:MM) and for (such as 2h)")
        if self.lasts is not None and self.lasts > timedelta(days=1):
            raise ValueError("a recurring window lasts at most 24h; write start and end for a longer one")
        return self

    def concerns(self, endpoint_id: str) -> bool:
        """Return whether the window is for an endpoint; it may be shut."""
        return any(fnmatchcase(endpoint_id, pattern) for pattern in self.endpoints)

    def covers(self, moment: datetime) -> bool:
        """Return whether the window is open at an aware moment."""
        if self.start is not None and self.end is not None:
            return self.start <= moment < self.end
        assert self.from_ is not None
        assert self.lasts is not None
        zone = ZoneInfo(self.timezone)
        hour, minute = (int(part) for part in self.from_.split(":"))
        local = moment.astimezone(zone)
        for days_back in (0, 1):
            opened = (local - timedelta(days=days_back)).replace(hour=hour, minute=minute, second=0, microsecond=0)
            if self.days and _DAYS[opened.weekday()] not in self.days:
                continue
            # Elapsed time, not wall time: a 2h window stays 2h across a change of the clocks. Python subtracts wall
            # times where both moments share a zone, hence UTC.
            if timedelta(0) <= moment.astimezone(UTC) - opened.astimezone(UTC) < self.lasts:
                return True
        return False


class Retention(Frozen):
    """How long each kind of record is kept. Hourly marts are kept for ever."""

    probe_results: Duration = timedelta(days=90)
    incidents: Duration = timedelta(days=730)
    evaluations: Duration = timedelta(days=30)
    tapes: Duration = timedelta(days=7)
    runs: Duration = timedelta(days=2)
    ticks: Duration = timedelta(days=7)
    generations: int = Field(3, ge=2, le=100)
    max_disk: Ratio = Field(0.9, description="Share of the disk in use above which housekeeping warns")


class Alerting(Frozen):
    """How people are told."""

    reminder: Duration = timedelta(hours=4)
    escalate_after: Duration | None = None
    escalate_to: tuple[Name, ...] = ()
    group_within: Duration = timedelta(minutes=2)
    heartbeat_url_env: EnvName | None = Field(None, description="Variable with a URL that is asked every tick")
    page_base_url: str | None = Field(None, pattern=r"^(https?|file)://", description="Where the site is served")
    dagster_base_url: str = "http://127.0.0.1:3000"


class Fleet(Frozen):
    """The whole of fleet.yaml."""

    version: Literal[1] = 1
    location: Name = Field("default", description="Where these probes are sent from; on every row")
    interval: Duration = Field(timedelta(minutes=5), description="How often an endpoint is probed by default")
    demo: bool = Field(False, description="Every endpoint is simulated; pages and marts say so")
    projects: dict[Name, Project] = {"default": Project()}
    providers: dict[Name, Provider] = {}
    endpoints: dict[str, EndpointOverride] = {}
    promises: Promises = Promises()
    timeouts: Timeouts = Timeouts()
    channels: dict[Name, Channel] = {"console": ConsoleChannel(type="console")}
    routes: tuple[Route, ...] = ()
    alerting: Alerting = Alerting()
    maintenance: tuple[Maintenance, ...] = ()
    retention: Retention = Retention()
    build_every: Duration = Field(timedelta(minutes=5), description="Marts and pages are rebuilt at most this often")
    tick_budget: Duration = Field(timedelta(seconds=45), description="Wall time that one sweep of the fleet may take")

    @field_validator("interval")
    @classmethod
    def _at_least_a_minute(cls, value: timedelta) -> timedelta:
        if value < timedelta(minutes=1):
            raise ValueError("the shortest interval is 1m")
        return value

    @model_validator(mode="after")
    def _references(self) -> Self:
        projects = self.projects.keys() | {"default"}
        for name, provider in self.providers.items():
            if provider.project not in projects:
                raise ValueError(f"providers.{name}.project: no project is called {provider.project!r}")
        for pattern, override in self.endpoints.items():
            if override.project is not None and override.project not in projects:
                raise ValueError(f"endpoints.{pattern}.project: no project is called {override.project!r}")
        for at, route in enumerate(self.routes):
            for channel in route.channels:
                if channel not in self.channels:
                    raise ValueError(f"routes.{at}.channels: no channel is called {channel!r}")
            for project in route.projects:
                if project not in projects:
                    raise ValueError(f"routes.{at}.projects: no project is called {project!r}")
        for channel in self.alerting.escalate_to:
            if channel not in self.channels:
                raise ValueError(f"alerting.escalate_to: no channel is called {channel!r}")
        return self

    def is_maintained(self, endpoint_id: str, moment: datetime) -> bool:
        """Return whether an endpoint is in a maintenance window at an aware moment."""
        return any(window.concerns(endpoint_id) and window.covers(moment) for window in self.maintenance)


class Endpoint(Frozen):
    """One model at one provider with every setting resolved: what a probe needs to know."""

    endpoint_id: str
    """``provider/model``, unique in the fleet."""
    provider: str
    provider_type: str
    litellm_provider: str
    model: str
    dialect: Dialect
    base_url: str | None
    api_key_env: str | None
    region: str | None = None
    gcp_project: str | None = None
    api_version: str | None = None
    headers: dict[str, str] = {}
    headers_env: dict[str, str] = {}
    tls: Tls = Tls()
    limits: Limits = Limits()
    project: str = "default"
    owner: str | None = None
    labels: dict[str, str] = {}
    interval: timedelta = timedelta(minutes=5)
    prompt: str | None = None
    expect: str | None = None
    max_tokens: int | None = None
    token_limit: TokenLimit = "max_tokens"  # noqa: S105  a parameter's name, not a password
    params: dict[str, Any] = {}
    timeouts: Timeouts = Timeouts()
    allowed_models: tuple[str, ...] | None = None
    promises: Promises = Promises()
    is_free: bool = False
    is_demo: bool = False
