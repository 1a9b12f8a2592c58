"""Read an answer in a dialect that we do not read ourselves, by playing its tape to LiteLLM's stream parser.

The parser of the provider gets the recorded lines one by one, so each delta takes the stamp of the chunk that
completed its line. Nothing can be sent: LiteLLM's HTTP clients have no part in it. Nor has its stream wrapper,
which invents a finish reason and a usage for a stream that ended without. Status and end are judged by us.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipelines.wire.dialects.errors import find_error
from pipelines.wire.dialects.fragment import Fragment, Malformed, load_object, mapping, payload, text
from pipelines.wire.dialects.framing import is_sse, ndjson, opening_byte, sse, whole
from pipelines.wire.dialects.openai import read_completion, read_usage
from pipelines.wire.dialects.transcript import Transcript, add_fragment
from pipelines.wire.reading import Event
from pipelines.wire.tape import Chunk

_FINISH_KEYS = ("finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason")


class NoParserError(ValueError):
    """LiteLLM cannot read the provider's streams; the message says what to set in fleet.yaml."""


def replay(chunks: Sequence[Chunk], *, litellm_model: str | None) -> Transcript:
    """Return what LiteLLM reads in a body whose content encoding is undone.

    ``litellm_model`` is the model with LiteLLM's provider prefix. Raises ValueError without one, and NoParserError
    where LiteLLM has no parser for the provider's streams.
    """
    if opening_byte(chunks) in (b"[", b"<") or (len(list(ndjson(chunks))) == 1 and not is_sse(chunks)):
        return _document(chunks)
    feed = _Feed(chunks)
    parser = _parser(litellm_model, feed)
    seen, events, has_token = Transcript(), list[Event](), False
    try:
        for part in parser:
            fragment = _fragment(part)
            seen = add_fragment(seen, fragment, is_first_token=not has_token)
            has_token = has_token or bool(fragment.payloads)
            events.append(Event(feed.at_ns, fragment.payloads))
    except Exception as error:  # noqa: BLE001  whatever LiteLLM raises on these bytes is a fact about them
        stated = feed.stated_error()
        seen = replace(seen, error=stated or seen.error)
        if stated is None and not feed.is_cut:
            seen = replace(seen, problem=f"LiteLLM cannot read the stream: {error}"[:500])
    # Some of LiteLLM's parsers lose the finish reason; without it every good answer would count as truncated.
    return replace(seen, events=tuple(events), finish_reason=seen.finish_reason or feed.finish_reason)


class _Feed:
    """The payloads of a body as text; knows where on the tape the one read last was completed."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        # LiteLLM's parsers strip the SSE field name where they find it, yet not all of them do: none is handed on.
        self._frames = sse(chunks) if is_sse(chunks) else ndjson(chunks)
        self.at_ns = 0
        self.is_cut = False
        """The payload read last was not ended: the body broke off."""
        self.finish_reason: str | None = None
        """The last one stated anywhere in a payload."""
        self._last = b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        frame = next(self._frames)
        self.at_ns, self._last, self.is_cut = frame.at_ns, frame.data, frame.is_cut
        with suppress(Malformed):
            self.finish_reason = _find_finish(load_object(frame.data)) or self.finish_reason
        return frame.data.decode("utf-8")

    def stated_error(self) -> Any:
        """Return the error object in the line read last, or None."""
        try:
            return find_error(load_object(self._last))
        except Malformed:
            return None


def _find_finish(value: Any, depth: int = 6) -> str | None:
    """Return the first finish reason at any place of a payload."""
    if depth == 0 or not isinstance(value, dict | list):
        return None
    if isinstance(value, dict):
        stated = next((found for key in _FINISH_KEYS if (found := text(value.get(key)))), None)
        if stated:
            return stated
    inner = value.values() if isinstance(value, dict) else value
    return next((found for item in inner if (found := _find_finish(item, depth - 1))), None)


def _parser(litellm_model: str | None, feed: _Feed) -> Iterator[Any]:
    if litellm_model is None:
        raise ValueError("a tape in dialect 'litellm' needs litellm_model, the model name with LiteLLM's prefix")
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing it asks the network for prices
    import litellm  # noqa: PLC0415  3 s and 170 MB: only a dialect without a reader of ours pays
    from litellm.types.utils import LlmProviders  # noqa: PLC0415  as above

    try:
        model, provider, _, _ = litellm.get_llm_provider(litellm_model)
    except litellm.exceptions.BadRequestError as error:
        raise NoParserError(f"LiteLLM knows no provider of {litellm_model!r}; check `type:` in fleet.yaml") from error
    config = litellm.utils.ProviderConfigManager.get_provider_chat_config(model, LlmProviders(provider))
    parser = config and config.get_model_response_iterator(feed, sync_stream=True, json_mode=False)
    if not parser:
        raise NoParserError(
            f"LiteLLM has no stream parser for provider {provider!r}; set `dialect:` of this provider in fleet.yaml to "
            "the API that it really speaks, for example openai"
        )
    found: Iterator[Any] = iter(parser)
    return found


def _fragment(part: Any) -> Fragment:
    """Return what one parsed delta says, in either of LiteLLM's two shapes."""
    body = part.model_dump() if hasattr(part, "model_dump") else dict(part or {})
    if "choices" in body:
        return read_completion(body)
    function = mapping(mapping(body.get("tool_use")).get("function"))
    words = "".join(filter(None, (text(function.get("name")), text(function.get("arguments")))))
    return Fragment(
        payloads=payload("content", body.get("text"), "text") + payload("tool", words, "tool_use"),
        finish_reason=text(body.get("finish_reason")) if body.get("is_finished") else None,
        usage=read_usage(mapping(body.get("usage"))),
    )


def _document(chunks: Sequence[Chunk]) -> Transcript:
    """Return a body that is one document and no stream, with the error that it states."""
    frame = next(whole(chunks))
    try:
        return Transcript(error=find_error(load_object(frame.data)), is_whole=True)
    except Malformed as error:
        return Transcript(problem=str(error), is_whole=True)
