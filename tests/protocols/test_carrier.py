from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.ir.parts import (
    Opaque,
    Reasoning,
    Shape,
    Text,
)
from aiclient2api.protocols.carrier import (
    MAGIC,
    Carrier,
    Sealed,
    is_envelope,
    opaque,
)
from tests.fakes.generated import OPAQUES, REASONINGS
from tests.fakes.sealing import CARRIER, DETAILS, SIGNATURE, THOUGHT


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Sealed("self", Reasoning(summary=["Let me see"], opaque=SIGNATURE)), id="self"),
        pytest.param(Sealed("next", None, THOUGHT), id="next"),
        pytest.param(Sealed("prev", None, THOUGHT), id="prev"),
        pytest.param(Sealed("value", None, DETAILS), id="value"),
        pytest.param(Sealed("self", Text(text="", opaque=THOUGHT)), id="a text that is only its signature"),
        pytest.param(
            Sealed(
                "self",
                Reasoning(
                    raw=["é\n"], shape=Shape.EMPTY_LIST, ext={"gemini": {"x": Raw(b'{ "b":1, "a":1.50}')}}
                ),
            ),
            id="unknown members",
        ),
    ],
)
def test_an_envelope_gives_back_what_was_put_in(content: Sealed) -> None:
    assert CARRIER.open(CARRIER.seal(content, "alice").data, "alice") == content


@given(
    st.builds(Sealed, st.sampled_from(["self", "next", "prev", "value"]), st.none() | REASONINGS, OPAQUES),
    st.text(),
)
@settings(max_examples=100)
def test_sealing_loses_nothing(content: Sealed, tenant: str) -> None:
    assert CARRIER.open(CARRIER.seal(content, tenant).data, tenant) == content


@given(REASONINGS)
@settings(max_examples=50)
def test_an_envelope_is_plain_base64_and_begins_with_the_magic(part: Reasoning) -> None:
    envelope = CARRIER.seal(Sealed("self", part), "alice")

    assert envelope.kind == "envelope"
    assert envelope.data.startswith(MAGIC)
    assert len(envelope.data) % 4 == 0
    assert set(envelope.data) <= set(string.ascii_letters + string.digits + "+/")


def test_the_magic_is_base64_of_our_name() -> None:
    assert base64.b64decode(MAGIC) == b"gw-carry1"


def test_the_url_safe_alphabet_is_accepted() -> None:
    content = Sealed("self", Text(text="".join(chr(code) for code in range(0x20, 0x400))))
    envelope = CARRIER.seal(content, "alice").data
    assert "+" in envelope
    assert "/" in envelope

    assert CARRIER.open(envelope.replace("+", "-").replace("/", "_"), "alice") == content


def test_the_previous_key_still_opens() -> None:
    old = Carrier({2: b"another, older one"}, current=2)

    assert CARRIER.open(old.seal(Sealed("next", None, THOUGHT), "alice").data, "alice") == Sealed(
        "next", None, THOUGHT
    )


def test_another_tenant_cannot_open_it() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice").data

    assert CARRIER.open(envelope, "bob") is None
    assert CARRIER.open(envelope, "") is None


def test_an_unknown_key_cannot_open_it() -> None:
    foreign = Carrier({7: b"a key of sixteen"}, current=7)
    same_id = Carrier({1: b"not the same key"}, current=1)

    assert CARRIER.open(foreign.seal(Sealed("next", None, THOUGHT), "alice").data, "alice") is None
    assert CARRIER.open(same_id.seal(Sealed("next", None, THOUGHT), "alice").data, "alice") is None


def test_every_damaged_character_is_noticed() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice").data

    for at, char in enumerate(envelope):
        damaged = envelope[:at] + ("A" if char != "A" else "B") + envelope[at + 1 :]
        assert CARRIER.open(damaged, "alice") is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("", id="nothing"),
        pytest.param(MAGIC, id="only the magic"),
        pytest.param(MAGIC + "AAAAAAAAAAAAAAAAAAAAAAAA", id="zeros"),
        pytest.param("EqQBCkYIBxgCIkDa", id="a native signature"),
        pytest.param(MAGIC + "é", id="not base64"),
        pytest.param(MAGIC + "=", id="wrong padding"),
        pytest.param("\udc80", id="a lone surrogate"),
    ],
)
def test_other_text_is_not_an_envelope(data: str) -> None:
    assert CARRIER.open(data, "alice") is None


@given(st.text())
@settings(max_examples=100)
def test_no_text_at_all_breaks_the_opener(text: str) -> None:
    assert CARRIER.open(text, "alice") is None
    assert CARRIER.open(MAGIC + text, "alice") is None


def test_a_truncated_envelope_is_not_opened() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice").data

    assert [CARRIER.open(envelope[:length], "alice") for length in range(len(envelope))] == [None] * len(
        envelope
    )


def test_keys_do_not_show() -> None:
    assert repr(CARRIER) == "Carrier(keys=[1, 2])"


def test_a_signature_slot_holds_an_envelope_or_native_state() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice")

    assert opaque("anthropic.signature", envelope.data) == envelope
    assert opaque("anthropic.signature", "EqQB") == Opaque("anthropic.signature", "EqQB")
    assert is_envelope(envelope)
    assert not is_envelope(SIGNATURE)
    assert not is_envelope(None)
