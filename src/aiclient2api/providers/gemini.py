"""Google's Gemini API with an AI Studio key (https://ai.google.dev/api)."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.base_url import check_base_url
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.providers.profiles import gemini_profile


class GeminiSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a Gemini account."""

    api_key: Secret
    base_url: str = "https://generativelanguage.googleapis.com"

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


def build(settings: GeminiSettings) -> ApiKeyProvider:
    """The adapter of one account."""
    return ApiKeyProvider(
        protocols=("gemini",),
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="x-goog-api-key",
        profiles=gemini_profile,
    )


GEMINI = ProviderSpec(
    "gemini",
    GeminiSettings,
    build,
    family=("gemini-*",),
    environment=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
)
