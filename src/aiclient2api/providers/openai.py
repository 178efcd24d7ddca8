"""OpenAI's own API: Chat Completions and Responses (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.base_url import check_base_url
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.providers.profiles import openai_profile


class OpenAISettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an OpenAI account."""

    api_key: Secret
    base_url: str = "https://api.openai.com/v1"
    organization: str | None = None
    project: str | None = None

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


def build(settings: OpenAISettings) -> ApiKeyProvider:
    """The adapter of one account."""
    headers = (("openai-organization", settings.organization), ("openai-project", settings.project))
    return ApiKeyProvider(
        protocols=("openai_chat", "openai_responses"),
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="authorization",
        profiles=openai_profile,
        headers=tuple((name, value) for name, value in headers if value is not None),
    )


OPENAI = ProviderSpec(
    "openai",
    OpenAISettings,
    build,
    family=("gpt-*", "chatgpt-*", "o[0-9]*", "text-embedding-3-*", "text-embedding-ada-*"),
    environment=("OPENAI_API_KEY",),
)
