from __future__ import annotations

from aiclient2api.providers.anthropic import AnthropicSettings, build
from aiclient2api.providers.credentials import Secret


def test_models_have_anthropics_facts() -> None:
    provider = build(AnthropicSettings(api_key=Secret("sk-1")))

    assert provider.profile("claude-opus-4-5", "anthropic").thinking == "budget"
