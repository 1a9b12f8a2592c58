"""One try to hand one notice to its channel: the single boundary where a failure becomes a result."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TextIO

import httpx

from pipelines.fleet.models import Alerting, AppriseChannel, Channel, ConsoleChannel, SlackChannel, WebhookChannel
from pipelines.notify.channels.console import print_notice
from pipelines.notify.channels.post import TIMEOUT_S, Attempt, ChannelError, request, secret
from pipelines.notify.channels.service import notify_service
from pipelines.notify.channels.slack import slack_payload
from pipelines.notify.channels.webhook import IDEMPOTENCY_HEADER, SIGNATURE_HEADER, signature, webhook_body
from pipelines.notify.model import DeliveryResult, Notice

_AGENT = "ArgusLab"


def deliver(
    channel: Channel,
    notice: Notice,
    env: Mapping[str, str],
    *,
    client: httpx.Client,
    now: datetime,
    alerting: Alerting,
    attempt: int = 1,
    stream: TextIO | None = None,
    timeout_s: float = TIMEOUT_S,
) -> DeliveryResult:
    """Return what came of one try; never raises for what a channel or its configuration does.

    ``env`` holds the secrets by name, ``attempt`` counts the tries of this notice from 1, ``stream`` is where a
    console channel writes.
    """
    try:
        if isinstance(channel, ConsoleChannel):
            tried = print_notice(notice, alerting, stream)
        elif isinstance(channel, AppriseChannel):
            tried = notify_service(secret(env, channel.url_env), notice, alerting, timeout_s=timeout_s)
        else:
            url, body, headers = _prepared(channel, notice, env, alerting, now)
            tried = request(client, "POST", url, content=body, headers=headers, now=now, timeout_s=timeout_s)
    except ChannelError as error:
        tried = Attempt(str(error))
    return DeliveryResult(
        notice_id=notice.notice_id,
        channel=notice.channel,
        kind=notice.kind,
        incident_ids=tuple(incident.incident_id for incident in notice.incidents),
        at=now,
        attempt=attempt,
        is_delivered=tried.error is None,
        error=tried.error,
        retry_after_s=tried.retry_after_s,
    )


def _prepared(
    channel: SlackChannel | WebhookChannel, notice: Notice, env: Mapping[str, str], alerting: Alerting, now: datetime
) -> tuple[str, bytes, dict[str, str]]:
    """Return URL, body and headers of the POST."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": _AGENT}
    if isinstance(channel, SlackChannel):
        body = json.dumps(slack_payload(notice, alerting), ensure_ascii=False).encode()
        return secret(env, channel.webhook_url_env), body, headers
    body = webhook_body(notice, alerting)
    headers[IDEMPOTENCY_HEADER] = notice.notice_id
    if channel.secret_env is not None:
        headers[SIGNATURE_HEADER] = signature(secret(env, channel.secret_env), body, now)
    url = channel.url or secret(env, channel.url_env or "")
    return url, body, headers
