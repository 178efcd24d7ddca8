from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from aiclient2api.errors import ConfigError
from aiclient2api.providers.openai import OPENAI
from aiclient2api.providers.registry import GROUP, ProviderRegistry, load_specs


def test_the_built_in_providers_are_installed() -> None:
    assert ProviderRegistry.installed().names == [
        "anthropic",
        "anthropic_compatible",
        "deepseek",
        "gemini",
        "gemini_compatible",
        "groq",
        "mistral",
        "openai",
        "openai_compatible",
        "openrouter",
        "simulator",
        "xai",
    ]


def test_a_provider_is_found_by_name() -> None:
    registry = ProviderRegistry([OPENAI])

    assert registry["openai"] is OPENAI
    assert registry.get("nobody") is None
    assert "openai" in registry
    assert list(registry) == [OPENAI]


def test_two_providers_of_one_name_are_an_error() -> None:
    with pytest.raises(ConfigError, match="two providers are named 'openai'"):
        ProviderRegistry([OPENAI, OPENAI])


def test_entry_points_are_loaded() -> None:
    point = EntryPoint("mine", "aiclient2api.providers.openai:OPENAI", GROUP)

    assert load_specs([point]) == [OPENAI]


def test_every_broken_entry_point_is_reported_by_name() -> None:
    points = [
        EntryPoint("gone", "no_such_module_anywhere:SPEC", GROUP),
        EntryPoint("odd", "aiclient2api.providers.openai:build", GROUP),
    ]

    with pytest.raises(ConfigError) as caught:
        load_specs(points)

    assert caught.value.problems == [
        "provider plug-in 'gone' (no_such_module_anywhere:SPEC) cannot be loaded: "
        "ModuleNotFoundError(\"No module named 'no_such_module_anywhere'\")",
        "provider plug-in 'odd' (aiclient2api.providers.openai:build) is not a ProviderSpec",
    ]
