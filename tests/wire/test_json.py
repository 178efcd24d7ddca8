from __future__ import annotations

import pytest
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


class Point(Struct):
    x: int
    y: list[int] = []


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        pytest.param(b'{"x":"1"}', "", "x: expected `int`, got `str`", id="a member"),
        pytest.param(
            b'{"x":1,"y":[1,"2"]}', "at", "at.y[1]: expected `int`, got `str`", id="an element of a member"
        ),
        pytest.param(b"{}", "at[2]", "at[2].x: is required", id="a missing member"),
        pytest.param(b"[]", "", "expected `object`, got `array`", id="another type"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(data: bytes, path: str, message: str) -> None:
    with pytest.raises(MalformedMessage) as raised:
        json.decode(data, Point, path)

    assert str(raised.value) == message


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":', id="cut"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":NaN}', id="not a number"),
        pytest.param(b'{"a":1}{"a":1}', id="two values"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(DEEP, id="deep nesting"),
    ],
)
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        json.decode(data, dict[str, object])


@pytest.mark.parametrize("data", [b"", b"[1]", b"null", b'"text"', b'{"a":1', DEEP, b"\xff"])
def test_only_an_object_has_members(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Members.parse(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[1", b"[" * 100_000 + b"]" * 100_000])
def test_only_an_array_has_elements(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        json.parse_array(data, "tools")


def test_known_members_are_taken_and_the_rest_stays_as_it_was() -> None:
    members = Members.parse(b'{"model":"m","n": 1.50 ,"deep":{"b":1, "a":[ 1e3 ]},"zero":null}')

    assert members.take("model", str) == "m"
    assert {name: bytes(raw) for name, raw in members.rest.items()} == {
        "n": b"1.50",
        "deep": b'{"b":1, "a":[ 1e3 ]}',
        "zero": b"null",
    }


def test_a_number_survives_with_all_its_digits() -> None:
    members = Members.parse(b'{"big":123456789012345678901234567890,"exact":0.10000000000000000001}')

    assert json.encode(members.rest) == (
        b'{"big":123456789012345678901234567890,"exact":0.10000000000000000001}'
    )


def test_absent_and_null_members_are_nothing_to_take() -> None:
    members = Members.parse(b'{"a":null,"b":null,"c":null}')

    assert members.take("a", str) is None
    assert members.object("b") is None
    assert members.array("c") is None
    assert members.take("d", str) is None
    assert members.object("d") is None
    assert list(members.objects("d")) == []
    assert members.rest == {}


def test_a_raw_null_is_told_from_an_absent_member() -> None:
    members = Members.parse(b'{"a":null}')

    assert members.raw("a") == json.NULL
    assert members.raw("a") is None


def test_looking_at_a_member_does_not_take_it() -> None:
    members = Members.parse(b'{"a":1}')

    assert members.peek("a") == Raw(b"1")
    assert "a" in members
    assert members.require("a", int) == 1
    assert "a" not in members


@pytest.mark.parametrize("data", [b"{}", b'{"model":null}'])
def test_a_required_member_must_be_there(data: bytes) -> None:
    with pytest.raises(MalformedMessage) as raised:
        Members.parse(data, "body").require("model", str)

    assert str(raised.value) == "body.model: is required"


def test_paths_lead_through_objects_and_arrays() -> None:
    members = Members.parse(b'{"turns":[{"parts":[{}]},{"parts":{"a":true}}]}')

    with pytest.raises(MalformedMessage) as raised:
        for turn in members.objects("turns"):
            for part in turn.objects("parts"):
                part.take("text", str)

    assert str(raised.value) == "turns[1].parts: must be an array"


def test_a_wrong_member_of_a_nested_object_is_named() -> None:
    image = Members.parse(b'{"image":{"url":1}}').object("image")
    assert image is not None

    with pytest.raises(MalformedMessage) as raised:
        image.take("url", str)

    assert str(raised.value) == "image.url: expected `str`, got `int`"


@pytest.mark.parametrize(
    ("raw", "kinds"),
    [
        (Raw(b'"a"'), (True, False, False)),
        (Raw(b"[]"), (False, True, False)),
        (Raw(b"{}"), (False, False, True)),
        (Raw(b"1"), (False, False, False)),
    ],
)
def test_a_raw_value_tells_its_kind(raw: Raw, kinds: tuple[bool, bool, bool]) -> None:
    assert (json.is_string(raw), json.is_array(raw), json.is_object(bytes(raw))) == kinds


@pytest.mark.parametrize("text", [b'{"a":1', b"{a}", DEEP])
def test_broken_text_is_no_object(text: bytes) -> None:
    assert not json.is_object(text)


def test_a_raw_member_is_spliced_as_it_is() -> None:
    assert json.encode({"a": Raw(b"1.50"), "b": json.raw([1, "x"])}) == b'{"a":1.50,"b":[1,"x"]}'


@pytest.mark.parametrize(
    "text", [b'{"a":1', b"{a}", b'{"a":1} {', b'{"a":"b', b"{", b' {"a"', b"[1", b"[DONE", DEEP]
)
def test_a_broken_event_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedMessage):
        json.check_event(text)


@pytest.mark.parametrize("text", [b'{"a":[1,{}]}', b"[1]", b"[DONE]", b" [DONE] ", b""])
def test_a_whole_event_and_a_sentinel_are_let_through(text: bytes) -> None:
    json.check_event(text)
