"""The verdict on a request's head."""

from __future__ import annotations

import pytest

from aiclient2api.errors import BadRequest, GatewayError, MethodNotAllowed, TooLarge
from aiclient2api.server.http.guard import Head, Verdict, judge

HOST = (b"host", b"gateway.example:3000")


def head(
    *headers: tuple[bytes, bytes], method: str = "POST", target: bytes = b"/v1/messages", version: str = "1.1"
) -> Head:
    return Head(method, target, version, headers)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (head(HOST), Verdict(keep_alive=True)),
        (head(HOST, (b"connection", b"Keep-Alive, Close")), Verdict(keep_alive=False)),
        (head(HOST, (b"content-length", b"0012")), Verdict(keep_alive=True)),
        (head(HOST, (b"transfer-encoding", b"chunked")), Verdict(keep_alive=True)),
        (head(HOST, (b"expect", b"100-Continue")), Verdict(keep_alive=True, expects_continue=True)),
        (head(version="1.0"), Verdict(keep_alive=False)),
        (head((b"host", b"[::1]:80"), target=b"/a?b=/c?d=%20"), Verdict(keep_alive=True)),
    ],
)
def test_a_plain_request_passes(given: Head, verdict: Verdict) -> None:
    assert judge(given) == verdict


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (head(), BadRequest),
        (head(HOST, HOST), BadRequest),
        (head((b"host", b"")), BadRequest),
        (head((b"host", b"a/admin?x=")), BadRequest),
        (head((b"host", b"user@a")), BadRequest),
        (head((b"host", b"a:80:80")), BadRequest),
        (head((b"host", b"a b")), BadRequest),
        (head((b"host", b"a\t")), BadRequest),
        (head((b"host", b"bad host"), version="1.0"), BadRequest),
        (head(HOST, (b"content-length", b"1"), (b"content-length", b"1")), BadRequest),
        (head(HOST, (b"content-length", b"+1")), BadRequest),
        (head(HOST, (b"content-length", b"1 ")), BadRequest),
        (head(HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")), BadRequest),
        (head(HOST, (b"transfer-encoding", b"gzip, chunked")), BadRequest),
        (head(HOST, (b"transfer-encoding", b"Chunked")), BadRequest),
        (head(HOST, (b"transfer-encoding", b"chunked"), version="1.0"), BadRequest),
        (head(HOST, (b"expect", b"200-ok")), BadRequest),
        (head(HOST, target=b"http://other/v1/messages"), BadRequest),
        (head(HOST, target=b"*", method="OPTIONS"), BadRequest),
        (head(HOST, target=b"/a#b"), BadRequest),
        (head(HOST, target=b"/\xc3\xa9"), BadRequest),
        (head(HOST, version="2.0"), BadRequest),
        (head(HOST, version="0.9"), BadRequest),
        (head(HOST, method="CONNECT"), MethodNotAllowed),
        (head(HOST, method="TRACE"), MethodNotAllowed),
        (head(HOST, method="PROPFIND"), MethodNotAllowed),
        (head(HOST, target=b"/" + b"a" * 16384), TooLarge),
        (head(HOST, (b"x", b"a" * 16384)), TooLarge),
        (head(HOST, *((b"x-%d" % index, b"a" * 4000) for index in range(9))), TooLarge),
        (head(HOST, *((b"x-%d" % index, b"") for index in range(100))), TooLarge),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(given: Head, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        judge(given)
