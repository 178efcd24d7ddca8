"""Anthropic's own API (https://docs.claude.com/en/api/overview)."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.base_url import check_base_url
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.providers.profiles import anthropic_profile


class AnthropicSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an Anthropic account."""

    api_key: Secret
    base_url: str = "https://api.anthropic.com"

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


def build(settings: AnthropicSettings) -> ApiKeyProvider:
    """The adapter of one account."""
    return ApiKeyProvider(
        protocols=("anthropic",),
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="x-api-key",
        profiles=anthropic_profile,
    )


ANTHROPIC = ProviderSpec(
    "anthropic", AnthropicSettings, build, family=("claude-*",), environment=("ANTHROPIC_API_KEY",)
)
