"""A call is the same whether its kind was there before or not."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.gateway.calls import Calls
from aiclient2api.net.transport import Call, Timeouts
from aiclient2api.protocols.conversion import Inbound, RelayConversion, Target
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.protocols.registry import converters
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.base import Provider
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.wire.http import Headers, WireRequest


class BodySigner:
    """A provider whose signature covers the body."""

    def __init__(self, provider: ApiKeyProvider) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        if name == "signs_alike":
            raise AttributeError(name)
        return getattr(self._provider, name)

    def sign(self, request: WireRequest, protocol: str, credentials: Credentials) -> WireRequest:
        signed = self._provider.sign(request, protocol, credentials)
        signature = ("x-signature", str(len(request.body)))
        return msgspec.structs.replace(signed, headers=(*signed.headers, signature))


def account(*, signs_bodies: bool = False) -> Account:
    provider = ApiKeyProvider(
        protocols=("openai_chat",),
        base_url="https://up.example/v1",
        credentials=Credentials(Secret("sk-1"), generation=1),
        auth="authorization",
        profiles=lambda _model, _protocol: DEFAULT_PROFILE,
    )
    chosen = cast(Provider, BodySigner(provider)) if signs_bodies else provider
    return Account("a", "openai", chosen, AccountSettings())


def conversion(text: str, headers: Headers = (), *, stream: bool = False) -> RelayConversion:
    (chat,) = (each for each in converters() if each.name == "openai_chat")
    body = msgspec.json.encode({"model": "m", "messages": [], "user": text, "stream": stream})
    wire = WireRequest(path="/v1/chat/completions", body=body, headers=headers)
    return RelayConversion(Inbound(chat, wire, "t"), Target(model="m", profile=DEFAULT_PROFILE), None)


def made(calls: Calls, one: Account, converted: RelayConversion, *, is_last: bool = False) -> Call:
    return calls.call(one, "openai_chat", converted, is_last)


@pytest.mark.parametrize(
    ("headers", "stream", "is_last"),
    [
        ((), False, False),
        ((), True, False),
        ((), True, True),
        ((("openai-beta", "x"),), False, False),
    ],
)
def test_the_next_call_of_a_kind_is_as_the_first_would_be(
    headers: Headers, stream: bool, is_last: bool
) -> None:
    one, calls = account(), Calls({"a": Timeouts()})
    for earlier in (False, True):
        made(calls, one, conversion("first", stream=earlier), is_last=earlier)

    converted = conversion("second, longer", headers, stream=stream)

    fresh = made(Calls({"a": Timeouts()}), one, converted, is_last=is_last)
    assert made(calls, one, converted, is_last=is_last) == fresh
    assert b"second, longer" in fresh.body
    assert ("openai-beta", "x") in fresh.headers or not headers


@pytest.mark.parametrize(
    "said", ["application/x-www-form-urlencoded", "application/json; charset=utf-16", "text/plain"]
)
def test_a_body_goes_up_as_the_json_that_it_was_read_as(said: str) -> None:
    call = made(Calls({"a": Timeouts()}), account(), conversion("x", (("content-type", said),)))

    assert [value for name, value in call.headers if name == "content-type"] == ["application/json"]


def test_a_renewed_token_signs_the_next_call() -> None:
    one, calls = account(), Calls({"a": Timeouts()})
    made(calls, one, conversion("x"))

    one.credentials = Credentials(Secret("sk-2"), generation=2)

    assert ("authorization", "Bearer sk-2") in made(calls, one, conversion("x")).headers


def test_a_provider_that_signs_bodies_is_asked_each_time() -> None:
    one, calls = account(signs_bodies=True), Calls({"a": Timeouts()})

    signatures = [dict(made(calls, one, conversion(text)).headers)["x-signature"] for text in ("x", "longer")]

    assert signatures[0] != signatures[1]
