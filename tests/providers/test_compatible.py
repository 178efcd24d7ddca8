from __future__ import annotations

import msgspec
import pytest

from aiclient2api.providers.base import Provider
from aiclient2api.providers.compatible import COMPATIBLE
from aiclient2api.providers.credentials import Secret
from aiclient2api.wire.http import WireRequest

LAB = {"base_url": "http://127.0.0.1:8000/v1"}


def _build(name: str, **settings: object) -> Provider:
    spec = next(spec for spec in COMPATIBLE if spec.name == name)
    return spec.build(msgspec.convert({"api_key": Secret("k"), **settings}, spec.settings))


@pytest.mark.parametrize("name", ["openai_compatible", "anthropic_compatible", "gemini_compatible"])
def test_an_unknown_server_needs_an_address(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="base_url"):
        _build(name)


def test_defaults_are_those_of_a_careful_client() -> None:
    provider = _build("openai_compatible", **LAB)
    profile = provider.profile("qwen3", "openai_chat")

    assert provider.protocols == ("openai_chat",)
    assert provider.streams is True
    assert (profile.max_tokens_field, profile.developer_role, profile.reasoning_content) == (
        "max_tokens",
        False,
        False,
    )


def test_every_default_can_be_overridden() -> None:
    provider = _build(
        "openai_compatible",
        **LAB,
        protocols=["openai_responses", "openai_chat"],
        streams=False,
        max_tokens_field="max_completion_tokens",
        developer_role=True,
        reasoning_content=True,
    )
    profile = provider.profile("qwen3", "openai_chat")

    assert provider.protocols == ("openai_responses", "openai_chat")
    assert provider.streams is False
    assert (profile.max_tokens_field, profile.developer_role, profile.reasoning_content) == (
        "max_completion_tokens",
        True,
        True,
    )


@pytest.mark.parametrize("protocols", [[], ["openai_chat", "openai_chat"]], ids=["none", "twice"])
def test_protocols_are_named_once_each(protocols: list[str]) -> None:
    with pytest.raises(msgspec.ValidationError, match="each protocol once"):
        _build("openai_compatible", **LAB, protocols=protocols)


def test_a_messages_server_may_want_a_bearer_token() -> None:
    provider = _build("anthropic_compatible", base_url="https://example.org", auth="bearer")

    signed = provider.sign(WireRequest(path="/v1/messages"), "anthropic", provider.credentials)

    assert ("authorization", "Bearer k") in signed.headers


@pytest.mark.parametrize("name", ["anthropic_compatible", "gemini_compatible"])
def test_other_servers_may_not_stream(name: str) -> None:
    assert _build(name, base_url="https://example.org", streams=False).streams is False


@pytest.mark.parametrize(
    ("name", "field", "reasoning"),
    [
        ("deepseek", "max_tokens", True),
        ("groq", "max_completion_tokens", False),
        ("mistral", "max_tokens", False),
        ("xai", "max_completion_tokens", False),
        ("openrouter", "max_tokens", False),
    ],
)
def test_known_servers_have_their_own_facts(name: str, field: str, reasoning: bool) -> None:
    profile = _build(name).profile("any", "openai_chat")

    assert (profile.max_tokens_field, profile.reasoning_content) == (field, reasoning)


def test_a_known_servers_facts_can_be_overridden() -> None:
    provider = _build("deepseek", base_url="https://example.org/v1", reasoning_content=False)

    assert provider.url("openai_chat", "/models") == "https://example.org/v1/models"
    assert provider.profile("any", "openai_chat").reasoning_content is False
