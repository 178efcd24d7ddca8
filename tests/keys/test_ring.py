from __future__ import annotations

import pytest

from aiclient2api.errors import ClientError, Unauthenticated
from aiclient2api.keys.ring import ClientKey, ClientKeys, key_hash

OLD, NEW = b"old pepper", b"new pepper"


class Stored:
    """What a node has heard from the store."""

    def __init__(self, *keys: ClientKey, is_current: bool = True) -> None:
        self.by_hash = {key.hash: key for key in keys}
        self.is_current = is_current


def key(name: str, text: str, pepper: bytes = NEW, *, disabled: bool = False) -> ClientKey:
    return ClientKey(name=name, hash=key_hash(pepper, text), disabled=disabled)


def test_a_key_that_was_hashed_under_an_earlier_secret_is_known() -> None:
    ring = ClientKeys([NEW, OLD], [key("a", "sk-a", OLD)], Stored(key("b", "sk-b", OLD)))

    assert ring.identify("sk-a").name == "a"
    assert ring.identify("sk-b").name == "b"
    with pytest.raises(Unauthenticated):
        ClientKeys([NEW], [key("a", "sk-a", OLD)]).identify("sk-a")


def test_a_configured_key_hides_a_stored_one_of_its_name() -> None:
    ring = ClientKeys([NEW], [key("a", "sk-a")], Stored(key("a", "sk-other")))

    assert ring.identify("sk-a").name == "a"
    with pytest.raises(Unauthenticated):
        ring.identify("sk-other")


def test_a_disabled_key_is_no_key() -> None:
    with pytest.raises(Unauthenticated, match="disabled"):
        ClientKeys([NEW], [], Stored(key("a", "sk-a", disabled=True))).identify("sk-a")


def test_while_the_store_is_away_known_keys_work_and_unknown_ones_are_refused() -> None:
    ring = ClientKeys([NEW], [], Stored(key("a", "sk-a"), is_current=False))

    assert ring.identify("sk-a").name == "a"
    with pytest.raises(ClientError) as caught:
        ring.identify("sk-unknown")
    assert (caught.value.info.kind, caught.value.info.retry_after) == ("unavailable", 2.0)


def test_a_key_that_was_found_is_judged_anew_each_time() -> None:
    stored = Stored(key("a", "sk-a", OLD))
    ring = ClientKeys([NEW, OLD], [], stored)
    assert [ring.identify("sk-a").name for _ in range(2)] == ["a", "a"]

    stored.by_hash = {one.hash: one for one in (key("a", "sk-a", OLD), key("b", "sk-a"))}
    assert ring.identify("sk-a").name == "b", "the current secret goes first"

    stored.by_hash = {one.hash: one for one in (key("a", "sk-a", disabled=True),)}
    with pytest.raises(Unauthenticated, match="disabled"):
        ring.identify("sk-a")

    stored.by_hash = {}
    with pytest.raises(Unauthenticated):
        ring.identify("sk-a")
