"""Upstreams that speak somebody else's protocol, as data: one row makes a provider known by name.

`openai_compatible`, `anthropic_compatible` and `gemini_compatible` take any address from the configuration;
the rows below them know theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec import Struct

from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.base_url import check_base_url
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.providers.profiles import compatible_profile

MaxTokensField = Literal["max_completion_tokens", "max_tokens"]
OpenAIProtocol = Literal["openai_chat", "openai_responses"]


class OpenAICompatibleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an account at a server that speaks an OpenAI protocol; `api_key: none` sends no key."""

    api_key: Secret
    base_url: str
    protocols: tuple[OpenAIProtocol, ...] = ("openai_chat",)
    streams: bool = True
    max_tokens_field: MaxTokensField | None = None
    developer_role: bool | None = None
    reasoning_content: bool | None = None

    def __post_init__(self) -> None:
        check_base_url(self.base_url)
        if not self.protocols or len(set(self.protocols)) != len(self.protocols):
            raise ValueError("protocols must name each protocol once")


class AnthropicCompatibleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an account at a server that speaks the Messages protocol."""

    api_key: Secret
    base_url: str
    streams: bool = True
    auth: Literal["x-api-key", "bearer"] = "x-api-key"

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


class GeminiCompatibleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an account at a server that speaks the Gemini protocol."""

    api_key: Secret
    base_url: str
    streams: bool = True

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


class KnownSettings(OpenAICompatibleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an account at a well-known server; its address is known and may still be overridden."""

    base_url: str = ""

    def __post_init__(self) -> None:
        if self.base_url:
            check_base_url(self.base_url)


class _Row(Struct, frozen=True, kw_only=True):
    """A well-known upstream; all document `Authorization: Bearer` and the path `/chat/completions`."""

    name: str
    base_url: str
    environment: str
    max_tokens_field: MaxTokensField = "max_tokens"
    developer_role: bool = False
    reasoning_content: bool = False

    def build(self, settings: KnownSettings) -> ApiKeyProvider:
        """The adapter of one account."""
        return build_openai(
            OpenAICompatibleSettings(
                api_key=settings.api_key,
                base_url=settings.base_url or self.base_url,
                protocols=settings.protocols,
                streams=settings.streams,
                max_tokens_field=settings.max_tokens_field or self.max_tokens_field,
                developer_role=_first(settings.developer_role, self.developer_role),
                reasoning_content=_first(settings.reasoning_content, self.reasoning_content),
            )
        )


def _first(given: bool | None, default: bool) -> bool:
    return default if given is None else given


def build_openai(settings: OpenAICompatibleSettings) -> ApiKeyProvider:
    """The adapter of one account that speaks an OpenAI protocol."""

    @lru_cache(maxsize=1024)
    def profile(model: str, protocol: str) -> ModelProfile:
        return msgspec.structs.replace(
            compatible_profile(model, protocol),
            max_tokens_field=settings.max_tokens_field or "max_tokens",
            developer_role=_first(settings.developer_role, False),
            reasoning_content=_first(settings.reasoning_content, False),
        )

    return ApiKeyProvider(
        protocols=settings.protocols,
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="authorization",
        profiles=profile,
        streams=settings.streams,
    )


def build_anthropic(settings: AnthropicCompatibleSettings) -> ApiKeyProvider:
    """The adapter of one account that speaks the Messages protocol."""
    return ApiKeyProvider(
        protocols=("anthropic",),
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="authorization" if settings.auth == "bearer" else "x-api-key",
        profiles=compatible_profile,
        streams=settings.streams,
    )


def build_gemini(settings: GeminiCompatibleSettings) -> ApiKeyProvider:
    """The adapter of one account that speaks the Gemini protocol."""
    return ApiKeyProvider(
        protocols=("gemini",),
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="x-goog-api-key",
        profiles=compatible_profile,
        streams=settings.streams,
    )


_ROWS: Sequence[_Row] = [
    _Row(
        name="deepseek",
        base_url="https://api.deepseek.com/v1",
        environment="DEEPSEEK_API_KEY",
        # thinking with tools needs the earlier reasoning back (api-docs.deepseek.com/guides/thinking_mode)
        reasoning_content=True,
    ),
    _Row(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        environment="GROQ_API_KEY",
        max_tokens_field="max_completion_tokens",
    ),
    _Row(name="mistral", base_url="https://api.mistral.ai/v1", environment="MISTRAL_API_KEY"),
    _Row(
        name="xai",
        base_url="https://api.x.ai/v1",
        environment="XAI_API_KEY",
        max_tokens_field="max_completion_tokens",
    ),
    _Row(name="openrouter", base_url="https://openrouter.ai/api/v1", environment="OPENROUTER_API_KEY"),
]

COMPATIBLE: Sequence[ProviderSpec] = [
    ProviderSpec("openai_compatible", OpenAICompatibleSettings, build_openai),
    ProviderSpec("anthropic_compatible", AnthropicCompatibleSettings, build_anthropic),
    ProviderSpec("gemini_compatible", GeminiCompatibleSettings, build_gemini),
    *(ProviderSpec(row.name, KnownSettings, row.build, environment=(row.environment,)) for row in _ROWS),
]
