"""The built-in simulator as an upstream: all four protocols under one root, and it takes everything."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.base_url import check_base_url
from aiclient2api.providers.credentials import Credentials, Secret

_PERMISSIVE = ModelProfile(mid_system=True, prefill=True, reasoning_content=True)


class SimulatorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a simulator account; `base_url` is the simulator's root."""

    base_url: str
    # it wants a key, as the providers do, and takes any
    api_key: Secret = Secret("simulator")

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


def build(settings: SimulatorSettings) -> ApiKeyProvider:
    """The adapter of one account."""
    return ApiKeyProvider(
        protocols=("openai_chat", "openai_responses", "anthropic", "gemini"),
        base_url=settings.base_url,
        credentials=Credentials(settings.api_key),
        auth="authorization",
        profiles=_profile,
        # OpenAI's relative paths leave the version to the base URL, the other protocols' carry their own
        prefixes={"openai_chat": "/v1", "openai_responses": "/v1"},
    )


def _profile(model: str, protocol: str) -> ModelProfile:
    return _PERMISSIVE


SIMULATOR = ProviderSpec("simulator", SimulatorSettings, build)
