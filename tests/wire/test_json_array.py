from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import check_event
from aiclient2api.wire.json_array import JsonArrayDecoder

PRETTY = b'[{\n  "a": "x]},{\\"\\\\"\n}\n,\r\n{"b": [1, {"c": "\\u00e9"}]}\n]\n'


def frames_of(*chunks: bytes) -> list[Frame]:
    decoder = JsonArrayDecoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    assert decoder.close() == b""
    return frames


@pytest.mark.parametrize(
    ("stream", "elements"),
    [
        pytest.param(b"[]", [b""], id="empty array"),
        pytest.param(b'[{"a":1}]', [b'{"a":1}', b""], id="one element"),
        pytest.param(b'[{"a":1},\r\n{"a":2}]', [b'{"a":1}', b'{"a":2}', b""], id="two elements"),
        pytest.param(b'  [ {"a":"]"} \n]\n', [b'{"a":"]"}', b"", b""], id="brackets in strings"),
        pytest.param(b'[{"a":"\\""}]', [b'{"a":"\\""}', b""], id="escaped quote"),
        pytest.param(b'[{"a":"\\\\"}]', [b'{"a":"\\\\"}', b""], id="escaped backslash"),
        pytest.param(b'{"error":{"code":500}}', [b'{"error":{"code":500}}'], id="a bare object"),
        pytest.param(b'\xef\xbb\xbf[{"a":1}]', [b'{"a":1}', b""], id="byte order mark"),
    ],
)
def test_elements_are_cut(stream: bytes, elements: list[bytes]) -> None:
    frames = frames_of(stream)

    assert [frame.data for frame in frames] == elements
    assert b"".join(frame.raw for frame in frames) == stream


@given(st.sets(st.integers(1, len(PRETTY) - 1)))
@settings(max_examples=100)
def test_cuts_of_the_network_do_not_matter(cuts: set[int]) -> None:
    bounds = [0, *sorted(cuts), len(PRETTY)]
    chunks = [PRETTY[start:end] for start, end in itertools.pairwise(bounds)]

    frames = frames_of(*chunks)

    assert b"".join(frame.raw for frame in frames) == PRETTY
    assert [json.loads(frame.data) for frame in frames if frame.data] == json.loads(PRETTY)


def test_byte_by_byte_gives_the_same_elements() -> None:
    frames = frames_of(*(PRETTY[index : index + 1] for index in range(len(PRETTY))))

    assert [json.loads(frame.data) for frame in frames if frame.data] == json.loads(PRETTY)


def test_an_unfinished_element_is_left_over() -> None:
    decoder = JsonArrayDecoder()

    assert decoder.feed(b'[{"a":1},{"b":') != []
    assert decoder.close() == b',{"b":'


def test_a_cut_before_the_closing_bracket_is_left_over() -> None:
    decoder = JsonArrayDecoder()
    decoder.feed(b'[{"a":1}\n')

    assert decoder.close() == b"\n"


@pytest.mark.parametrize("stream", [b"<html>", b"[1]", b'"text"'])
def test_other_bytes_are_malformed(stream: bytes) -> None:
    with pytest.raises(MalformedMessage):
        JsonArrayDecoder().feed(stream)


@pytest.mark.parametrize("rest", [b"] x", b",1]", b',{"a":"\xc3\x28"}]'])
def test_what_breaks_a_stream_does_not_cost_the_elements_that_came_with_it(rest: bytes) -> None:
    frames = JsonArrayDecoder().feed(b'[{"a":1}' + rest)

    assert frames[0].data == b'{"a":1}'
    with pytest.raises(MalformedMessage):
        check_event(frames[-1].data)


def test_an_element_over_the_limit_is_malformed() -> None:
    decoder = JsonArrayDecoder(limit=100)

    with pytest.raises(MalformedMessage, match="larger than 100 bytes"):
        decoder.feed(b'[{"a":"' + b"x" * 200)
