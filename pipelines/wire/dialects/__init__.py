"""The dialects that ArgusLab reads itself, by name."""

from pipelines.fleet.providers import Dialect
from pipelines.wire.dialects import anthropic, bedrock, gemini, ollama, openai
from pipelines.wire.dialects.fragment import Reader

READERS: dict[Dialect, Reader] = {
    "openai": openai.READER,
    "anthropic": anthropic.READER,
    "gemini": gemini.READER,
    "ollama": ollama.READER,
    "bedrock": bedrock.READER,
}

__all__ = ["READERS"]
