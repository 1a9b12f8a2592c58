"""Slack: an incoming webhook with Block Kit, inside Slack's limits.

Limits: 50 blocks, 150 characters of header, 3,000 of a section's text, 10 fields of 2,000, 3,000 of a button's URL.
Source: https://docs.slack.dev/reference/block-kit/blocks and …/messaging/formatting-message-text.
"""

from typing import Any

from pipelines.fleet.models import Alerting
from pipelines.notify.message import Message, compose
from pipelines.notify.model import Notice

_HEADER, _SECTION, _FIELD, _FIELDS, _URL, _TEXT = 150, 3000, 2000, 10, 3000, 3000
_MARKS = {"bad": ":red_circle:", "warning": ":large_orange_circle:", "good": ":large_green_circle:"}


def escape(text: str) -> str:
    """Return text with the three characters that Slack gives a meaning written as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, most: int) -> str:
    """Return text of at most that many characters, with an ellipsis where it was cut; never half an entity."""
    if len(text) <= most:
        return text
    short = text[: most - 1]
    at = short.rfind("&")
    if at >= 0 and ";" not in short[at:] and ";" in text[at : at + 6]:
        short = short[:at]
    return f"{short}…"


def slack_payload(notice: Notice, alerting: Alerting) -> dict[str, Any]:
    """Return the JSON body of the message; ``text`` is what notifications and old clients show."""
    message = compose(notice, alerting)
    mark = _MARKS[message.tone]
    headline, _, rest = message.title.partition(" — ")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(f"{mark} {headline}", _HEADER), "emoji": True}}
    ]
    if rest:
        blocks.append(_section(escape(rest)))
    if message.lines:
        blocks += [_section(text) for text in _packed([f"• {escape(line)}" for line in message.lines])]
    blocks += _fields(message)
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": link.label}, "url": link.url}
        for link in message.links
        if len(link.url) <= _URL and link.url.startswith(("http://", "https://"))
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": cut(escape(message.context), _FIELD)}]})
    return {"text": cut(escape(message.title), _TEXT), "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, _SECTION)}}


def _packed(lines: list[str]) -> list[str]:
    """Return the lines in as few texts as fit a section each."""
    texts: list[str] = []
    for line in (cut(line, _SECTION) for line in lines):
        if texts and len(texts[-1]) + 1 + len(line) <= _SECTION:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _fields(message: Message) -> list[dict[str, Any]]:
    fields = [
        {"type": "mrkdwn", "text": cut(f"*{escape(label)}*\n{escape(value)}", _FIELD)} for label, value in message.facts
    ]
    return [{"type": "section", "fields": fields[at : at + _FIELDS]} for at in range(0, len(fields), _FIELDS)]
