"""Which listed models can be asked in a chat: what the provider states decides, then the model's name."""

import re
from collections.abc import Callable

from pipelines.discovery.model import Entry, Listed

_NAMES: tuple[tuple[str, str], ...] = (
    ("embedding", r"embed|(^|[/_-])(bge|gte|e5)[-_]|minilm|nomic-bert|voyage-"),
    ("reranking", r"rerank"),
    ("speech", r"whisper|(^|[/_.-])(tts|asr|stt)([-_.]|$)|transcri|audio|speech|voice|parakeet|orpheus|voxtral"),
    ("realtime", r"realtime|(^|[/_-])live([-_]|$)"),
    (
        "image or video",
        (
            r"dall-e|imagen|(^|[/_-])image([-_]|$)|image-gen|imagine|stable-diffusion|sdxl|(^|[/_-])flux|"
            r"(^|[/_-])sora|(^|[/_-])veo[-_]|(^|[/_-])video|nano-banana|titan-image|nova-(canvas|reel|sonic)"
        ),
    ),
    ("moderation", r"moderation|(^|[/_-])(llama-?)?guard|shieldgemma|safeguard|safety"),
    ("text recognition", r"(^|[/_-])ocr([-_]|$)"),
    ("legacy completion", r"(^|[/_-])(babbage|davinci|curie|ada)(-\d+)?$|turbo-instruct|(^|/)aqa$"),
)
_NOT_CHAT_AT_OPENAI = re.compile(
    r"(^o\d+|^gpt-\d[\w.]*)-pro|deep-research|computer-use|codex|^chatgpt-image|search-api"
)
"""Served by the Responses API only."""

Stated = Callable[[Entry], tuple[bool, str] | None]


def judge(entry: Entry, provider_type: str) -> Listed:
    """Return a listed model with the rule that kept or dropped it."""
    for rule in _STATED:
        stated = rule(entry)
        if stated is not None and not stated[0]:
            return Listed(entry.id, kept=False, rule=f"dropped: {stated[1]}")
    for what, pattern in _NAMES:
        if re.search(pattern, entry.id, re.IGNORECASE):
            return Listed(entry.id, kept=False, rule=f"dropped: {what} in name")
    if provider_type in ("openai", "azure_openai") and _NOT_CHAT_AT_OPENAI.search(entry.id):
        return Listed(entry.id, kept=False, rule="dropped: served by the Responses API only")
    said = [stated[1] for rule in _STATED if (stated := rule(entry)) is not None]
    return Listed(entry.id, kept=True, rule=f"kept: {said[0]}" if said else "kept: nothing says it cannot chat")


def _capability(entry: Entry) -> tuple[bool, str] | None:
    """Mistral's ``completion_chat`` and Azure's ``chat_completion``."""
    capabilities = entry.facts.get("capabilities")
    if isinstance(capabilities, dict):
        for name in ("completion_chat", "chat_completion"):
            if isinstance(capabilities.get(name), bool):
                return capabilities[name], f"capabilities.{name} is {str(capabilities[name]).lower()}"
    return None


def _supports_chat(entry: Entry) -> tuple[bool, str] | None:
    """Fireworks."""
    value = entry.facts.get("supports_chat")
    return (value, f"supports_chat is {str(value).lower()}") if isinstance(value, bool) else None


def _modality(entry: Entry) -> tuple[bool, str] | None:
    """OpenRouter's ``architecture``, xAI's and Bedrock's output modalities."""
    architecture = entry.facts.get("architecture")
    facts = architecture if isinstance(architecture, dict) else entry.facts
    outputs = facts.get("output_modalities", facts.get("outputModalities"))
    if outputs is None and isinstance(facts.get("modality"), str):
        outputs = facts["modality"].rpartition("->")[2].split("+")
    if not isinstance(outputs, list):
        return None
    names = sorted(str(output).lower() for output in outputs)
    return "text" in names, f"output modality {'+'.join(names) or 'none'}"


def _kind(entry: Entry) -> tuple[bool, str] | None:
    """Together's ``type``; a ``model`` of an OpenAI list says nothing."""
    value = entry.facts.get("type")
    kinds = {"chat", "language", "code", "image", "embedding", "embeddings", "moderation", "rerank", "audio", "video"}
    kinds |= {"transcribe", "llm", "vlm"}
    if not isinstance(value, str) or value not in kinds:
        return None
    return value in ("chat", "llm", "vlm"), f"type {value}"


def _active(entry: Entry) -> tuple[bool, str] | None:
    """Groq marks models that it has switched off; nothing is learned from the others."""
    return (False, "active is false") if entry.facts.get("active") is False else None


def _generate(entry: Entry) -> tuple[bool, str] | None:
    """Gemini."""
    methods = entry.facts.get("supportedGenerationMethods")
    if not isinstance(methods, list):
        return None
    can = "generateContent" in methods
    return can, f"generateContent is {'' if can else 'not '}supported"


def _inference(entry: Entry) -> tuple[bool, str] | None:
    """Bedrock: what can be called by its own id, and streams."""
    if entry.facts.get("responseStreamingSupported") is False:
        return False, "streaming is not supported"
    types = entry.facts.get("inferenceTypesSupported")
    if not isinstance(types, list):
        return None
    return "ON_DEMAND" in types, f"inference types {'+'.join(map(str, types)) or 'none'}"


def _family(entry: Entry) -> tuple[bool, str] | None:
    """Ollama: embedding models are of the BERT family."""
    details = entry.facts.get("details")
    family = details.get("family") if isinstance(details, dict) else None
    return (False, f"family {family}") if isinstance(family, str) and "bert" in family else None


_STATED: tuple[Stated, ...] = (
    _active,
    _capability,
    _supports_chat,
    _modality,
    _kind,
    _generate,
    _inference,
    _family,
)
