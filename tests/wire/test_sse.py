from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import check_event
from aiclient2api.wire.sse import SseDecoder, encode_event, last_event

BOM = b"\xef\xbb\xbf"
Meaning = tuple[str | None, bytes]


def frames_of(*chunks: bytes) -> list[Frame]:
    decoder = SseDecoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    assert decoder.close().strip() == b""
    return frames


def meaning(frames: list[Frame]) -> list[Meaning]:
    return [(frame.event, frame.data) for frame in frames]


def told(frames: list[Frame]) -> list[Meaning]:
    """What means something: a line feed behind a CR opens an event of nothing where a cut falls between them."""
    return [each for each in meaning(frames) if each != (None, b"")]


def pieces(stream: bytes, cuts: set[int]) -> list[bytes]:
    inner = sorted(cut for cut in cuts if cut < len(stream))
    return [stream[start:end] for start, end in itertools.pairwise([0, *inner, len(stream)])]


@pytest.mark.parametrize(
    ("block", "event", "data"),
    [
        pytest.param(b'data: {"a":1}\n\n', None, b'{"a":1}', id="data only"),
        pytest.param(b"data:x\n\n", None, b"x", id="no space"),
        pytest.param(b"data:  x\n\n", None, b" x", id="one space is removed"),
        pytest.param(b"data: \n\n", None, b"", id="empty data"),
        pytest.param(b"data\n\n", None, b"", id="a field without colon"),
        pytest.param(b"data: [DONE]\n\n", None, b"[DONE]", id="a word"),
        pytest.param(b"event: ping\ndata: {}\n\n", "ping", b"{}", id="event before data"),
        pytest.param(b"data: {}\nevent: ping\n\n", "ping", b"{}", id="event after data"),
        pytest.param(b"data: a\ndata: b\n\n", None, b"a\nb", id="two data lines"),
        pytest.param(b"data: a\ndata:\ndata: b\n\n", None, b"a\n\nb", id="an empty line of data"),
        pytest.param(b": keep-alive\n\n", None, b"", id="a comment"),
        pytest.param(b": c\nid: 7\nretry: 10\ndata: x\n\n", None, b"x", id="fields without meaning here"),
        pytest.param(b"data: a:b: c\n\n", None, b"a:b: c", id="colons in the data"),
        pytest.param(b"data: {}\r\n\r\n", None, b"{}", id="CRLF"),
        pytest.param(b"event: a\r\ndata: {}\r\n\r\n", "a", b"{}", id="CRLF with an event"),
        pytest.param(b"event: a\rdata: {}\r\r", "a", b"{}", id="CR"),
        pytest.param(b"data: {}\n\r\n", None, b"{}", id="LF CRLF"),
        pytest.param(b"data: {}\r\n\n", None, b"{}", id="CRLF LF"),
        pytest.param(b"data: {}\r\r\n", None, b"{}", id="CR CRLF"),
        pytest.param(b"data: {}\n\r", None, b"{}", id="LF CR"),
        pytest.param(b"data: {}\r\n\r", None, b"{}", id="CRLF CR"),
        pytest.param(b"\ndata: {}\n\n", None, b"{}", id="a heartbeat before the event"),
        pytest.param(
            b"data: \xe2\x80\xa8\x0b\x0c\xc2\x85\n\n",
            None,
            b"\xe2\x80\xa8\x0b\x0c\xc2\x85",
            id="no line ends",
        ),
    ],
)
def test_a_block_is_read_as_the_standard_says(block: bytes, event: str | None, data: bytes) -> None:
    assert frames_of(block) == [Frame(block, data, event)]


def test_events_come_in_order_with_their_own_bytes() -> None:
    stream = b"event: a\ndata: 1\n\n: ping\n\ndata: 2\r\n\r\ndata: [DONE]\n\n"

    frames = frames_of(stream)

    assert meaning(frames) == [("a", b"1"), (None, b""), (None, b"2"), (None, b"[DONE]")]
    assert b"".join(frame.raw for frame in frames) == stream


@pytest.mark.parametrize(
    "stream",
    [
        b"data: a\n\nevent: b\n\n\ndata: c\n\n",
        b"data: a\n\n\ndata: b\n\ndata: c\n\n",
        b"data: a\ndata: b\n\ndata: c\n\n",
        b"id: 1\n\ndata: a\n\ndata: \n\n",
        b"data: a\n\ndata:b\n\ndata: c\n\n",
        b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n",
        b"data: a\r\n\r\ndata: b\r\n\r\ndata: c\r\n\r\n",
        b"data: a\r\ndata: b\r\n\r\nid: 1\r\n\r\ndata: c\r\n\r\n",
        b"data: a\rdata: b\r\n\r\ndata: c\r\n\r\n",
        b"data: a\r\n\r\ndata: b\n\ndata: c\r\n\r\ndata: d\r\r",
        b"data: a\r\n\r\n\r\ndata:b\r\n\r\n",
        b"event: a\ndata: 1\ndata: 2\n\nevent: b\n\n",
        b"event: a\ndata: 1\n\ndata: 2\n\nevent: \ndata: 3\n\n",
        b"event: a\ndata: \n\nevent: b\ndata:2\n\nevent: c\ndata: 3\n\n\n",
        b"event: \xc3\xa9\ndata: \xc3\xa9\n\nevent: b\nid: 1\ndata: 2\n\n",
    ],
)
def test_a_read_of_many_events_is_cut_as_one_of_each(stream: bytes) -> None:
    singly = told(frames_of(*(stream[at : at + 1] for at in range(len(stream)))))
    for end in range(len(stream) + 1):
        frames = frames_of(stream[:end], stream[end:])
        assert told(frames) == singly
        assert b"".join(frame.raw for frame in frames) == stream[: sum(len(frame.raw) for frame in frames)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_a_byte_order_mark_is_not_part_of_the_first_event(chunk: int) -> None:
    stream = BOM + b"data: x\n\n"

    frames = frames_of(*(stream[at : at + chunk] for at in range(0, len(stream), chunk)))

    assert frames == [Frame(b"data: x\n\n", b"x")]


def test_half_a_byte_order_mark_is_what_is_left() -> None:
    decoder = SseDecoder()

    assert decoder.feed(BOM[:2]) == []
    assert decoder.close() == BOM[:2]


VALUES = (b"", b"x", b" two ", b'{"a":"\\n"}', b"[DONE]", b"a:b", b"\xc3\xa9\xe2\x80\xa8")
LINES = (
    *(b"data: " + value for value in VALUES),
    *(b"data:" + value for value in VALUES),
    *(b": " + value for value in VALUES),
    b"event: ping",
    b"event: content_block_delta",
    b"id: 1",
    b"retry: 3",
    b"data",
    b"unknown: x",
)


def _block(lines: list[bytes], end: bytes) -> bytes:
    return b"".join(line + end for line in lines) + end


def _stream(mark: bytes, blocks: list[bytes]) -> bytes:
    return mark + b"".join(blocks)


STREAMS = st.builds(
    _stream,
    st.sampled_from([b"", BOM]),
    st.lists(
        st.builds(
            _block,
            st.lists(st.sampled_from(LINES), min_size=1, max_size=4),
            st.sampled_from([b"\n", b"\r\n", b"\r"]),
        ),
        max_size=6,
    ),
)


@given(STREAMS, st.sets(st.integers(1, 250)))
@settings(max_examples=100)
def test_cuts_of_the_network_do_not_matter(stream: bytes, cuts: set[int]) -> None:
    whole = frames_of(stream)

    cut = frames_of(*pieces(stream, cuts))

    assert [one for one in meaning(cut) if one[1]] == [one for one in meaning(whole) if one[1]]


@given(STREAMS, st.sets(st.integers(1, 250)))
@settings(max_examples=100)
def test_frames_and_the_rest_are_all_the_bytes_there_were(stream: bytes, cuts: set[int]) -> None:
    decoder = SseDecoder()

    frames = [frame for chunk in pieces(stream, cuts) for frame in decoder.feed(chunk)]

    assert b"".join(frame.raw for frame in frames) + decoder.close() == stream.removeprefix(BOM)


@given(st.binary(max_size=200), st.sets(st.integers(1, 200)))
@settings(max_examples=100)
def test_any_bytes_are_kept(stream: bytes, cuts: set[int]) -> None:
    decoder = SseDecoder()

    frames = [frame for chunk in pieces(stream, cuts) for frame in decoder.feed(chunk)]

    assert b"".join(frame.raw for frame in frames) + decoder.close() == stream.removeprefix(BOM)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"])
def test_the_last_event_does_not_wait_for_another_byte(end: bytes) -> None:
    assert meaning(SseDecoder().feed(b"data: [DONE]" + end)) == [(None, b"[DONE]")]


@pytest.mark.parametrize("stream", [b"data: x\r\n\r\ndata: y\r\n\r\n", b"data: x\r\rdata: y\r\r"])
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    frames = frames_of(*(stream[at : at + 1] for at in range(len(stream))))

    assert [one for one in meaning(frames) if one[1]] == [(None, b"x"), (None, b"y")]
    assert b"".join(frame.raw for frame in frames).strip() == stream.strip()


def test_an_unfinished_event_is_left_over() -> None:
    decoder = SseDecoder()

    assert meaning(decoder.feed(b"data: 1\n\ndata: 2")) == [(None, b"1")]
    assert decoder.feed(b"\nevent: x") == []
    assert decoder.close() == b"data: 2\nevent: x"
    assert decoder.close() == b""


def test_an_event_over_the_limit_is_malformed() -> None:
    decoder = SseDecoder(limit=100)
    decoder.feed(b"data: " + b"x" * 60)

    with pytest.raises(MalformedMessage, match="larger than 100 bytes"):
        decoder.feed(b"x" * 60)


def test_many_events_under_the_limit_are_fine() -> None:
    decoder = SseDecoder(limit=100)

    frames = [frame for _ in range(50) for frame in decoder.feed(b"data: " + b"x" * 60 + b"\n\n")]

    assert len(frames) == 50


@pytest.mark.parametrize(
    ("event", "encoded"), [(None, b"data: {}\n\n"), ("ping", b"event: ping\ndata: {}\n\n")]
)
def test_an_encoded_event_is_read_back(event: str | None, encoded: bytes) -> None:
    assert encode_event(b"{}", event) == encoded
    assert frames_of(encoded) == [Frame(encoded, b"{}", event)]


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_text_that_is_no_utf8_breaks_the_stream_and_a_cut_character_does_not(cut: int) -> None:
    good = 'data: {"text":"é🌍"}\n\n'.encode()
    decoder = SseDecoder()
    frames = [frame for at in range(0, len(good), cut) for frame in decoder.feed(good[at : at + cut])]
    assert [frame.raw for frame in frames] == [good]

    with pytest.raises(MalformedMessage, match="UTF-8"):
        decoder.feed(b"data: \xc3\x28\n\n")


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("name", [b"", b"event: x"])
def test_an_event_that_is_no_utf8_does_not_cost_those_that_came_with_it(line: bytes, name: bytes) -> None:
    head = name + line if name else b""
    good, bad = head + b'data: {"a":1}' + line * 2, head + b'data: {"a":"\xc3\x28"}' + line * 2
    frames = SseDecoder().feed(good + bad + good)

    assert [frame.raw for frame in frames] == [good, bad]
    assert frames[0].data == b'{"a":1}'
    with pytest.raises(MalformedMessage):
        check_event(frames[1].data)


@pytest.mark.parametrize(
    ("rest", "event"),
    [
        (b'data: {"a":1}', b'data: {"a":1}\n\n'),
        (b'event: x\r\ndata: {"a":1}\r\n', b'event: x\r\ndata: {"a":1}\n\n'),
        (b'data: {"a":1', b""),
        (b'data: {"a":"\xf0\x9f"}', b""),
        (b"event: x\n", b""),
        (b"data: 1", b""),
        (b"", b""),
    ],
)
def test_a_last_event_needs_no_blank_line_but_must_be_whole(rest: bytes, event: bytes) -> None:
    assert last_event(rest) == event
