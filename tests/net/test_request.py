from __future__ import annotations

import msgspec
import pytest

from aiclient2api.errors import Rejected, Unreachable
from aiclient2api.net.request import HeadWriter, target
from aiclient2api.net.transport import Call
from aiclient2api.wire.http import Headers
from tests.fakes.calls import call


def head(one: Call) -> bytes:
    return HeadWriter().head(target(one), one)


def test_a_head_says_where_it_goes_and_how_long_its_body_is() -> None:
    assert head(call("http://127.0.0.1:8000/v1/x?a=1", headers=(("x-one", "1"),), body=b"{}")) == (
        b"POST /v1/x?a=1 HTTP/1.1\r\nhost: 127.0.0.1:8000\r\naccept-encoding: identity\r\nx-one: 1\r\n"
        b"content-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("https://api.example.com/v1", "api.example.com", 443, True),
        ("http://[::1]:8000/v1", "::1", 8000, False),
        ("http://host", "host", 80, False),
    ],
)
def test_a_url_leads_to_its_host_and_port(url: str, host: str, port: int, tls: bool) -> None:
    route = target(call(url)).route

    assert (route.host, route.port, route.tls) == (host, port, tls)


def test_a_default_port_is_not_in_the_host_header_and_ipv6_has_brackets() -> None:
    assert b"\r\nhost: host\r\n" in head(call("http://host:80/"))
    assert b"\r\nhost: [::1]:8000\r\n" in head(call("http://[::1]:8000/"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "host/path",
        "http:///path",
        "http://user:secret@host/",
        "http://user@host/",
        "http://host:99999/",
        "http://host:x/",
        "http://ho st/",
        "http://host/a\r\nx: 1",
        "http://host/\x00",
        "http://host\\@evil/",
        "http://höst/",
    ],
)
def test_an_address_that_is_no_plain_url_is_not_asked(url: str) -> None:
    with pytest.raises(Unreachable) as raised:
        target(call(url))

    assert not raised.value.sent
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "headers",
    [
        (("x-one", "1\r\nx-two: 2"),),
        (("x-one", "1\n"),),
        (("x-one", "1\r"),),
        (("x-one", "a\0b"),),
        (("x-one", "snow ☃"),),
        (("x one", "1"),),
        (("x-one:", "1"),),
        (("", "1"),),
        (("Content-Length", "5"),),
        (("transfer-encoding", "chunked"),),
        (("Host", "evil"),),
    ],
)
def test_headers_that_could_change_the_meaning_are_refused_before_a_byte_is_sent(headers: Headers) -> None:
    with pytest.raises(Rejected) as raised:
        head(call("http://host/", headers=headers))

    assert not raised.value.sent


def test_an_http_proxy_gets_the_whole_url_and_its_credentials() -> None:
    one = msgspec.structs.replace(call("http://host/v1"), proxy="http://me:p%40ss@proxy:3128")

    assert head(one).startswith(
        b"POST http://host/v1 HTTP/1.1\r\nhost: host\r\naccept-encoding: identity\r\n"
        b"proxy-authorization: Basic bWU6cEBzcw==\r\n"
    )


def test_a_head_like_the_last_one_is_the_same_but_for_its_length() -> None:
    writer, where = HeadWriter(), target(call("http://host/"))
    one = call("http://host/", headers=(("x-one", "1"),), body=b"{}")
    other = call("http://host/", headers=(("x-one", "2"),), body=b"{}")
    heads = [
        writer.head(where, each)
        for each in (one, other, other, one, msgspec.structs.replace(one, body=b"[1]"))
    ]

    assert heads == [*(HeadWriter().head(target(each), each) for each in (one, other, other, one)), heads[4]]
    assert heads[4] == heads[0].replace(b"content-length: 2", b"content-length: 3")
