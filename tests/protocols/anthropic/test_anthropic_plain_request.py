"""A request of few words is read in one go, and as any other is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.anthropic.plain_request import MOST, decode_plain
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest

CONVERTER = AnthropicConverter()
OLD, NEW = "2023-06-01", "2026-10-21"
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": st.text()})
)
DOCUMENTS = st.fixed_dictionaries(
    {"model": st.text(min_size=1), "max_tokens": st.integers(0, 1 << 40), "messages": MESSAGES},
    optional={
        "system": st.none() | st.text(),
        "stream": st.none() | st.booleans(),
        "temperature": st.integers(0, 2) | st.floats(0, 2),
    },
)


def _wire(document: dict[str, Any], version: str = OLD) -> WireRequest:
    headers = (("anthropic-version", version),)
    return WireRequest(path="/v1/messages", body=json.encode(document), headers=headers)


@given(document=DOCUMENTS)
def test_the_short_way_reads_what_the_long_one_reads(document: dict[str, Any]) -> None:
    short = decode_plain(json.encode(document), OLD)
    assert short is not None
    assert short == CONVERTER.decode_request(_wire({**document, "tools": None}))
    assert short == CONVERTER.decode_request(_wire(document))


@pytest.mark.parametrize(
    ("member", "value", "word"),
    [
        ("model", "", "model: must not be empty"),
        ("model", 7, "model: expected `str`, got `int`"),
        ("max_tokens", -1, "max_tokens: must not be negative"),
        ("max_tokens", None, "max_tokens: is required"),
        ("messages", None, "messages: is required"),
        ("messages", [{"role": "user"}], "messages[0].content: is required"),
        (
            "messages",
            [{"role": "tool", "content": ""}],
            "messages[0].role: must be user, assistant or system",
        ),
    ],
)
def test_what_is_wrong_is_told_in_the_same_words(member: str, value: object, word: str) -> None:
    plain = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}
    with pytest.raises(MalformedMessage) as caught:
        CONVERTER.decode_request(_wire(plain | {member: value}))
    assert f"{caught.value.path}: {caught.value}".endswith(word) or str(caught.value) == word


def test_whatever_else_a_request_has_is_read_the_long_way() -> None:
    plain = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}
    for other in (
        {"tools": []},
        {"odd": 1},
        {"temperature": None},
        {"messages": [{"role": "user", "content": []}]},
    ):
        assert decode_plain(json.encode(plain | other), OLD) is None
    assert decode_plain(json.encode(plain | {"temperature": 1}), NEW) is None
    assert decode_plain(json.encode(plain | {"system": "x" * MOST}), OLD) is None
    assert decode_plain(b'{"model":"m', OLD) is None


@pytest.mark.parametrize(
    ("body", "word"),
    [(b'{"model":""}', "must not be empty"), (b"{}", "is required"), (b"[]", "must be an object")],
)
def test_a_look_at_a_request_without_a_model_says_what_is_wrong(body: bytes, word: str) -> None:
    with pytest.raises(MalformedMessage, match=word):
        CONVERTER.peek(WireRequest(path="/v1/messages", body=body))


@pytest.mark.parametrize(
    ("body", "bound"),
    [
        (b'{"max_tokens":7}', 7),
        (b'{"max_tokens":0}', None),
        (b'{"max_tokens":"7"}', None),
        (b"{}", None),
        (b"", None),
    ],
)
def test_the_bound_of_an_answer_is_found(body: bytes, bound: int | None) -> None:
    assert CONVERTER.output_bound(WireRequest(path="/v1/messages", body=body)) == bound
