from __future__ import annotations

import base64
import hashlib
import re

import pytest

from aiclient2api.protocols import ids

ALLOWED = re.compile(r"[a-zA-Z0-9_-]{1,40}")


def test_a_digest_depends_on_nothing_but_its_material() -> None:
    assert ids.digest("a", "b") == "7wv7xwx2fzc6vv7pnbnzrnndzi"
    assert ids.digest("a", "b", length=8) == "7wv7xwx2"


def test_a_digest_is_written_as_base32() -> None:
    for number in range(500):
        state = hashlib.blake2b(len(b"%d" % number).to_bytes(4, "big") + b"%d" % number, digest_size=20)
        assert ids.digest(str(number), length=32) == base64.b32encode(state.digest()).decode().lower()


def test_material_is_not_joined() -> None:
    assert len({ids.digest("ab"), ids.digest("a", "b"), ids.digest("", "ab"), ids.digest("ab", "")}) == 4


def test_half_a_surrogate_pair_can_be_digested() -> None:
    assert len(ids.digest("\ud800")) == 26


def test_a_minted_id_has_its_prefix() -> None:
    assert ids.minted("msg_", "a", "b") == "msg_7wv7xwx2fzc6vv7pnbnzrnndzi"


def test_a_made_up_call_id_is_known_again() -> None:
    made = ids.synthetic_call_id("search", "0")

    assert made.startswith("call_gw_")
    assert ids.is_synthetic(made)
    assert not ids.is_synthetic("call_1")


@pytest.mark.parametrize("call_id", ["call.1", "x" * 41, "", "é"])
def test_an_id_that_a_target_refuses_is_replaced_the_same_way_every_time(call_id: str) -> None:
    new = ids.legal(call_id, ALLOWED)

    assert ALLOWED.fullmatch(new)
    assert new == ids.legal(call_id, ALLOWED)
    assert new != call_id


def test_a_legal_id_stays() -> None:
    assert ids.legal("toolu_01", ALLOWED) == "toolu_01"
