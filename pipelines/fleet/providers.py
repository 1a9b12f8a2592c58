"""What ArgusLab knows of each provider type: where it listens, what its key is called, how it speaks.

Facts, not code paths: a type that is not in the table is any other LiteLLM provider name and takes the
generic row. Sources: each provider's own API reference, and LiteLLM's provider list.
"""

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["openai", "anthropic", "gemini", "ollama", "bedrock", "litellm"]
"""How an answer is spelled on the wire; ``litellm`` is any dialect that we do not read ourselves."""

Discovery = Literal["openai", "azure", "anthropic", "gemini", "ollama", "bedrock", "vertex", "none"]
"""The shape of the provider's own model list; ``none`` where it publishes no list."""

TokenLimit = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True)
class ProviderType:
    """One row of the provider table."""

    name: str
    litellm: str
    """Prefix of the model name that LiteLLM routes by."""
    base_url: str | None
    key_env: str | None
    """The usual name of the environment variable; None where no key is needed or it is made of several."""
    dialect: Dialect
    discovery: Discovery
    token_limit: TokenLimit = "max_tokens"  # noqa: S105  a parameter's name, not a password
    local_port: int | None = None
    """Where zero-configuration start looks for it on this machine."""
    free: bool = False
    """True where a request costs nothing: it runs on the user's own hardware."""


_ROWS = (
    ProviderType(
        "openai",
        "openai",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "openai",
        "openai",
        token_limit="max_completion_tokens",  # noqa: S106  a parameter's name, not a password
    ),
    ProviderType("anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic", "anthropic"),
    ProviderType("google_vertex", "vertex_ai", None, None, "gemini", "vertex"),
    ProviderType(
        "google_ai_studio",
        "gemini",
        "https://generativelanguage.googleapis.com",
        "GEMINI_API_KEY",
        "gemini",
        "gemini",
    ),
    ProviderType("aws_bedrock", "bedrock", None, None, "bedrock", "bedrock"),
    ProviderType(
        "azure_openai",
        "azure",
        None,
        "AZURE_API_KEY",
        "openai",
        "azure",
        token_limit="max_completion_tokens",  # noqa: S106
    ),
    ProviderType(
        "ollama", "ollama_chat", "http://127.0.0.1:11434", None, "ollama", "ollama", local_port=11434, free=True
    ),
    ProviderType(
        "lm_studio", "lm_studio", "http://127.0.0.1:1234/v1", None, "openai", "openai", local_port=1234, free=True
    ),
    ProviderType("openrouter", "openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "openai", "openai"),
    ProviderType("together_ai", "together_ai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", "openai", "openai"),
    ProviderType("groq", "groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "openai", "openai"),
    ProviderType("mistral", "mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "openai", "openai"),
    ProviderType("xai", "xai", "https://api.x.ai/v1", "XAI_API_KEY", "openai", "openai"),
    ProviderType(
        "fireworks_ai",
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_AI_API_KEY",
        "openai",
        "openai",
    ),
    ProviderType("deepseek", "deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "openai", "openai"),
    ProviderType("custom_openai_compatible", "openai", None, None, "openai", "openai"),
)

PROVIDER_TYPES: dict[str, ProviderType] = {row.name: row for row in _ROWS}
"""The sixteen types with a row of their own, by name."""

NATIVE_DIALECTS: tuple[Dialect, ...] = ("openai", "anthropic", "gemini", "ollama", "bedrock")


def provider_type(name: str) -> ProviderType:
    """Return the row of a type; any other name is taken as a LiteLLM provider, read by replay."""
    known = PROVIDER_TYPES.get(name)
    return known or ProviderType(name, name, None, f"{name.upper()}_API_KEY", "litellm", "none")
