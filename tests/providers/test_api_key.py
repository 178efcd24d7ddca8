from __future__ import annotations

import pytest

from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.providers.api_key import ApiKeyProvider, Auth
from aiclient2api.providers.base import Provider
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.wire.http import Headers, WireRequest


def _profile(model: str, protocol: str) -> ModelProfile:
    return DEFAULT_PROFILE


def _provider(auth: Auth = "authorization", key: str = "sk-1", headers: Headers = ()) -> ApiKeyProvider:
    return ApiKeyProvider(
        protocols=("openai_chat",),
        base_url="https://api.example.org/v1/",
        credentials=Credentials(Secret(key)),
        auth=auth,
        profiles=_profile,
        headers=headers,
    )


def test_it_is_a_provider() -> None:
    provider: Provider = _provider()

    assert provider.protocols == ("openai_chat",)
    assert provider.streams is True
    assert provider.profile("any", "openai_chat") is DEFAULT_PROFILE


def test_a_trailing_slash_of_the_base_url_makes_no_difference() -> None:
    assert (
        _provider().url("openai_chat", "/chat/completions") == "https://api.example.org/v1/chat/completions"
    )


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("authorization", ("authorization", "Bearer sk-1")),
        ("x-api-key", ("x-api-key", "sk-1")),
        ("x-goog-api-key", ("x-goog-api-key", "sk-1")),
    ],
)
def test_the_key_goes_into_the_documented_header(auth: Auth, header: tuple[str, str]) -> None:
    provider = _provider(auth)

    signed = provider.sign(WireRequest(path="/x"), "openai_chat", provider.credentials)

    assert signed == WireRequest(path="/x", headers=(header,))


def test_the_clients_own_key_never_leaves_the_gateway() -> None:
    provider = _provider("x-api-key")
    request = WireRequest(
        path="/x",
        query="alt=sse&key=client-key",
        headers=(
            ("authorization", "Bearer client-key"),
            ("x-api-key", "client-key"),
            ("x-goog-api-key", "client-key"),
            ("api-key", "client-key"),
            ("openai-beta", "b"),
        ),
    )

    signed = provider.sign(request, "openai_chat", provider.credentials)

    assert signed.query == "alt=sse"
    assert signed.headers == (("openai-beta", "b"), ("x-api-key", "sk-1"))


def test_a_query_without_a_key_stays_as_it_is() -> None:
    provider = _provider()

    signed = provider.sign(WireRequest(path="/x", query="a=%20b&c"), "openai_chat", provider.credentials)

    assert signed.query == "a=%20b&c"


def test_the_key_none_sends_no_key() -> None:
    provider = _provider(key="none")

    assert provider.sign(WireRequest(path="/x"), "openai_chat", provider.credentials).headers == ()


def test_configured_headers_win_over_the_clients() -> None:
    provider = _provider(headers=(("openai-project", "ours"),))
    request = WireRequest(path="/x", headers=(("openai-project", "theirs"),))

    signed = provider.sign(request, "openai_chat", provider.credentials)

    assert signed.headers == (("openai-project", "ours"), ("authorization", "Bearer sk-1"))


@pytest.mark.parametrize(
    ("given", "sent"),
    [((), "2023-06-01"), ((("anthropic-version", "2026-10-21"),), "2026-10-21")],
    ids=["default", "the request's own"],
)
def test_a_messages_request_always_has_a_version(given: Headers, sent: str) -> None:
    provider = _provider("x-api-key")

    signed = provider.sign(WireRequest(path="/v1/messages", headers=given), "anthropic", provider.credentials)

    assert [value for name, value in signed.headers if name == "anthropic-version"] == [sent]


def test_it_signs_with_the_credentials_it_is_given() -> None:
    signed = _provider().sign(WireRequest(path="/x"), "openai_chat", Credentials(Secret("fresh")))

    assert signed.headers == (("authorization", "Bearer fresh"),)


def test_its_representation_hides_the_key() -> None:
    assert "sk-1" not in repr(_provider())
