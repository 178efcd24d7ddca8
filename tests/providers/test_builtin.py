"""Every built-in provider, made of the smallest settings a user would write."""

from __future__ import annotations

import msgspec
import pytest

from aiclient2api.providers.base import Provider
from aiclient2api.providers.builtin import BUILTIN
from aiclient2api.providers.credentials import Secret
from aiclient2api.wire.http import WireRequest

CHAT, RESPONSES, MESSAGES = "/chat/completions", "/responses", "/v1/messages"
GENERATE = "/v1beta/models/m:generateContent"
BEARER = ("authorization", "Bearer sk-1")
VERSION = ("anthropic-version", "2023-06-01")


def _build(name: str, **settings: object) -> Provider:
    spec = next(spec for spec in BUILTIN if spec.name == name)
    return spec.build(msgspec.convert({"api_key": Secret("sk-1"), **settings}, spec.settings))


@pytest.mark.parametrize(
    ("name", "base_url", "protocol", "path", "url", "headers"),
    [
        ("openai", None, "openai_chat", CHAT, "https://api.openai.com/v1/chat/completions", [BEARER]),
        ("openai", None, "openai_responses", RESPONSES, "https://api.openai.com/v1/responses", [BEARER]),
        (
            "anthropic",
            None,
            "anthropic",
            MESSAGES,
            "https://api.anthropic.com/v1/messages",
            [VERSION, ("x-api-key", "sk-1")],
        ),
        (
            "gemini",
            None,
            "gemini",
            GENERATE,
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
            [("x-goog-api-key", "sk-1")],
        ),
        ("deepseek", None, "openai_chat", CHAT, "https://api.deepseek.com/v1/chat/completions", [BEARER]),
        ("groq", None, "openai_chat", CHAT, "https://api.groq.com/openai/v1/chat/completions", [BEARER]),
        ("mistral", None, "openai_chat", CHAT, "https://api.mistral.ai/v1/chat/completions", [BEARER]),
        ("xai", None, "openai_chat", CHAT, "https://api.x.ai/v1/chat/completions", [BEARER]),
        ("openrouter", None, "openai_chat", CHAT, "https://openrouter.ai/api/v1/chat/completions", [BEARER]),
        (
            "openai_compatible",
            "http://127.0.0.1:8000/v1/",
            "openai_chat",
            CHAT,
            "http://127.0.0.1:8000/v1/chat/completions",
            [BEARER],
        ),
        (
            "anthropic_compatible",
            "https://example.org/anthropic",
            "anthropic",
            MESSAGES,
            "https://example.org/anthropic/v1/messages",
            [VERSION, ("x-api-key", "sk-1")],
        ),
        (
            "gemini_compatible",
            "https://example.org",
            "gemini",
            GENERATE,
            "https://example.org/v1beta/models/m:generateContent",
            [("x-goog-api-key", "sk-1")],
        ),
        (
            "simulator",
            "http://127.0.0.1:9",
            "openai_responses",
            RESPONSES,
            "http://127.0.0.1:9/v1/responses",
            [BEARER],
        ),
        (
            "simulator",
            "http://127.0.0.1:9",
            "anthropic",
            MESSAGES,
            "http://127.0.0.1:9/v1/messages",
            [VERSION, BEARER],
        ),
        ("simulator", "http://127.0.0.1:9", "gemini", GENERATE, f"http://127.0.0.1:9{GENERATE}", [BEARER]),
    ],
)
def test_where_a_provider_is_asked_and_how_it_signs(
    name: str, base_url: str | None, protocol: str, path: str, url: str, headers: list[tuple[str, str]]
) -> None:
    provider = _build(name) if base_url is None else _build(name, base_url=base_url)

    signed = provider.sign(WireRequest(path=path), protocol, provider.credentials)

    assert provider.url(protocol, path) == url
    assert signed.headers == tuple(headers)
    assert protocol in provider.protocols


@pytest.mark.parametrize(
    ("name", "protocols"),
    [
        ("openai", ("openai_chat", "openai_responses")),
        ("anthropic", ("anthropic",)),
        ("gemini", ("gemini",)),
        ("groq", ("openai_chat",)),
    ],
)
def test_the_preferred_protocol_comes_first(name: str, protocols: tuple[str, ...]) -> None:
    assert _build(name).protocols == protocols


def test_every_provider_says_the_key_is_missing() -> None:
    without_key = [spec for spec in BUILTIN if spec.name != "simulator"]

    for spec in without_key:
        with pytest.raises(msgspec.ValidationError, match="api_key"):
            msgspec.convert({}, spec.settings)


@pytest.mark.parametrize("spec", BUILTIN, ids=lambda spec: spec.name)
def test_every_provider_refuses_a_base_url_in_clear_text(spec: object) -> None:
    name = getattr(spec, "name", "")

    with pytest.raises(msgspec.ValidationError, match="must be https"):
        _build(name, base_url="http://example.org")


@pytest.mark.parametrize("spec", BUILTIN, ids=lambda spec: spec.name)
def test_every_provider_refuses_keys_it_does_not_know(spec: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        _build(getattr(spec, "name", ""), base_url="https://example.org", nonsense=1)


def test_no_two_providers_want_the_same_variable_or_family() -> None:
    variables = [variable for spec in BUILTIN for variable in spec.environment]
    families = [pattern for spec in BUILTIN for pattern in spec.family]

    assert len(variables) == len(set(variables)) == 9
    assert families == [
        *("gpt-*", "chatgpt-*", "o[0-9]*", "text-embedding-3-*", "text-embedding-ada-*"),
        *("claude-*", "gemini-*"),
    ]
