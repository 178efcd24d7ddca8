from __future__ import annotations

import pytest

from aiclient2api.net.response import MAX_FIELDS, MAX_HEAD, InvalidResponse, ResponseReader

HEAD = b"HTTP/1.1 200 OK\r\n"


def read(data: bytes, *, step: int = 0, closed: bool = False) -> ResponseReader:
    reader = ResponseReader()
    for start in range(0, len(data), step or len(data)):
        reader.feed(data[start : start + (step or len(data))])
    if closed:
        reader.close()
    return reader


@pytest.mark.parametrize("step", [1, 2, 7, 0])
@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n",
    ],
    ids=["sized", "chunked", "trailers"],
)
def test_a_body_is_the_same_however_it_is_cut(rest: bytes, step: int) -> None:
    reader = read(HEAD + rest, step=step)

    assert b"".join(reader.chunks) == b"hello"
    assert reader.done
    assert reader.keeps_alive


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"]
)
def test_interim_responses_are_passed_over(interim: bytes) -> None:
    reader = read(interim + HEAD + b"content-length: 2\r\n\r\nok")

    assert (reader.status, b"".join(reader.chunks), reader.done) == (200, b"ok", True)


def test_a_body_without_a_length_ends_with_the_connection_only() -> None:
    reader = read(HEAD + b"\r\nhello")
    assert not reader.done

    assert reader.close()
    assert not reader.keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"transfer-encoding: gzip\r\n\r\n",
        HEAD + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Encoding: identity\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        HEAD + b"bad header\r\n\r\n",
        HEAD + b"x: 1\r\n y\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 9999 What\r\n\r\n",
        b"HTTP/1.1 abc What\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        HEAD + b"x: " + b"a" * (MAX_HEAD + 1) + b"\r\n\r\n",
        HEAD + b"x-many: 1\r\n" * 10_000 + b"content-length: 0\r\n\r\n",
        HEAD + b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_FIELDS + 1)) + b"\r\n",
    ],
)
@pytest.mark.parametrize("step", [1000, 0])
def test_what_is_not_a_clear_response_is_refused(data: bytes, step: int) -> None:
    with pytest.raises(InvalidResponse):
        read(data, step=step)


def test_a_bomb_of_interim_responses_is_refused() -> None:
    with pytest.raises(InvalidResponse):
        read(b"HTTP/1.1 103 Early\r\nlink: abc\r\n\r\n" * 5000, step=100)


@pytest.mark.parametrize("junk", [b"x", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
def test_bytes_behind_the_end_cost_the_connection_not_the_answer(junk: bytes) -> None:
    reader = read(HEAD + b"content-length: 2\r\n\r\nok" + junk)

    assert b"".join(reader.chunks) == b"ok"
    assert reader.done
    assert not reader.keeps_alive


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 20])
def test_a_body_behind_a_head_is_not_counted_as_its_part(cut: int) -> None:
    head, body = HEAD + b"content-length: 200000\r\n\r\n", b"b" * 200_000
    reader = ResponseReader()
    reader.feed((head + body)[: len(head) - cut])
    reader.feed((head + body)[len(head) - cut :])

    assert reader.done
    assert b"".join(reader.chunks) == body


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_end_with_their_head(status: int) -> None:
    reader = read(b"HTTP/1.1 %d None\r\n\r\n" % status)

    assert reader.done


def test_the_head_of_a_head_request_is_all_there_is() -> None:
    reader = ResponseReader()
    reader.begin(head_only=True)

    reader.feed(HEAD + b"content-length: 5\r\n\r\n")

    assert reader.done


def test_connection_close_is_heeded() -> None:
    reader = read(HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok")

    assert reader.done
    assert not reader.keeps_alive


def test_headers_are_text_in_small_letters_and_the_first_of_a_name_counts() -> None:
    reader = read(HEAD + b"X-A: 1\r\nx-b: \xe9\r\nX-A: 2\r\ncontent-length: 0\r\n\r\n")

    assert reader.headers == (("x-a", "1"), ("x-b", "é"), ("content-length", "0"))


def test_a_head_without_headers_has_none() -> None:
    assert read(b"HTTP/1.1 204 None\r\n\r\n").headers == ()


@pytest.mark.parametrize("step", [1000, 0])
def test_trailers_have_the_bounds_of_a_head(step: int) -> None:
    trailers = b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_FIELDS + 1))
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"

    with pytest.raises(InvalidResponse):
        read(chunked + trailers + b"\r\n", step=step)


def test_a_head_says_nothing_of_the_next_one() -> None:
    reader = read(HEAD + b"content-encoding: gzip\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nok")
    reader.begin()
    reader.feed(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx-t: 1\r\n\r\n")
    reader.begin()
    reader.feed(HEAD + b"content-length: 2\r\n\r\n")

    assert (reader.headers, reader.is_encoded, reader.done) == ((("content-length", "2"),), False, False)
