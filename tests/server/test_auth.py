from __future__ import annotations

import pytest

from aiclient2api.errors import BadRequest, Unauthenticated
from aiclient2api.keys.ring import ClientKey, ClientKeys, key_hash
from aiclient2api.server.auth import extract_key
from aiclient2api.wire.http import Headers, WireRequest

PEPPER = b"pepper"
ALICE = ClientKey(name="alice", hash=key_hash(PEPPER, "sk-alice"), models=("gpt-*", "o3"))
BOB = ClientKey(name="bob", hash=key_hash(PEPPER, "sk-bob"), strict=True)
KEYS = ClientKeys([PEPPER], [ALICE, BOB])


def head(query: str = "", *headers: tuple[str, str]) -> WireRequest:
    return WireRequest(path="/v1/messages", query=query, headers=headers)


CARRIERS: list[tuple[str, Headers]] = [
    ("", (("authorization", "Bearer sk-alice"),)),
    ("", (("authorization", "bearer  sk-alice "),)),
    ("", (("x-api-key", "sk-alice"),)),
    ("", (("x-goog-api-key", "sk-alice"),)),
    ("", (("api-key", " sk-alice"),)),
    ("key=sk-alice", ()),
    ("alt=sse&key=sk%2Dalice", ()),
]


@pytest.mark.parametrize(("query", "headers"), CARRIERS)
def test_a_key_is_found_wherever_a_client_puts_it(query: str, headers: Headers) -> None:
    assert extract_key(head(query, *headers)) == "sk-alice"


@pytest.mark.parametrize(("query", "headers"), CARRIERS)
def test_the_same_key_has_the_same_rights_in_every_place(query: str, headers: Headers) -> None:
    assert KEYS.identify(extract_key(head(query, *headers))) is ALICE


@pytest.mark.parametrize(("query", "headers"), CARRIERS)
def test_the_same_key_may_stand_in_two_places(query: str, headers: Headers) -> None:
    assert extract_key(head(query, *headers, ("x-api-key", "sk-alice"))) == "sk-alice"


@pytest.mark.parametrize(("query", "headers"), CARRIERS)
def test_two_different_keys_are_refused(query: str, headers: Headers) -> None:
    with pytest.raises(BadRequest):
        extract_key(head(query, *headers, ("api-key", "sk-bob")))


@pytest.mark.parametrize("query", ["key=sk-alice&key=sk-bob", "key=sk-alice&key=SK-ALICE"])
def test_two_different_keys_in_the_query_are_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        extract_key(head(query))


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        pytest.param("", (), id="no key"),
        pytest.param("", (("authorization", "Basic c2stYWxpY2U="),), id="another scheme"),
        pytest.param("", (("authorization", "sk-alice"),), id="no scheme"),
        pytest.param("", (("authorization", "Bearer "),), id="an empty token"),
        pytest.param("", (("x-api-key", ""),), id="an empty key"),
        pytest.param("key=", (), id="an empty parameter"),
        pytest.param("api_key=sk-alice&monkey=sk-alice", (), id="another parameter"),
        pytest.param("", (("x-api-key", "x" * 513),), id="a giant"),
        pytest.param("", (("cookie", "key=sk-alice"),), id="a cookie"),
    ],
)
def test_without_a_usable_key_nobody_gets_in(query: str, headers: Headers) -> None:
    with pytest.raises(Unauthenticated):
        extract_key(head(query, *headers))


@pytest.mark.parametrize("key", ["", "sk-alice ", "sk-Alice", "sk-alic", "sk-alicee", "\udc80", "é"])
def test_only_the_exact_key_is_known(key: str) -> None:
    with pytest.raises(Unauthenticated) as raised:
        KEYS.identify(key)

    assert raised.value.info.message == "the client key is not valid"


def test_another_pepper_makes_other_hashes() -> None:
    with pytest.raises(Unauthenticated):
        ClientKeys([b"salt"], [ALICE]).identify("sk-alice")


@pytest.mark.parametrize(
    ("key", "model", "allowed"),
    [
        (ALICE, "gpt-5", True),
        (ALICE, "o3", True),
        (ALICE, "o3-mini", False),
        (ALICE, "GPT-5", False),
        (BOB, "x", True),
    ],
)
def test_a_key_may_be_limited_to_models(key: ClientKey, model: str, allowed: bool) -> None:
    assert key.allows(model) is allowed


def test_an_expired_key_is_refused_from_its_moment_on() -> None:
    now = [99.0]
    limited = ClientKey(name="carol", hash=key_hash(PEPPER, "sk-carol"), expires=100.0)
    keys = ClientKeys([PEPPER], [limited], wall=lambda: now[0])
    assert keys.identify("sk-carol") is limited

    now[0] = 100.0

    with pytest.raises(Unauthenticated, match="expired"):
        keys.identify("sk-carol")
