from __future__ import annotations

from typing import Any

import pytest

from aiclient2api.errors import BadRequest, TooLarge
from aiclient2api.server.asgi import ClientGone, Message, Receive, read_body, request_head, send_whole
from aiclient2api.server.asked import Asked
from aiclient2api.wire.http import Headers, WireRequest, WireResponse


def scope(raw: bytes | None, path: str = "/") -> dict[str, Any]:
    return {
        "method": "POST",
        "path": path,
        "raw_path": raw,
        "query_string": b"alt=sse&key=%41",
        "headers": [(b"x-a", b"1"), (b"x-b", b"\xe9")],
    }


def receiving(*messages: Message) -> Receive:
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0)

    return receive


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


def asked(*headers: tuple[str, str]) -> Asked:
    return Asked(WireRequest(path="/v1/messages", headers=headers))


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        pytest.param(b"/v1/messages", "/v1/messages", id="plain"),
        pytest.param(
            b"/v1beta/models/a%3Ab:generateContent", "/v1beta/models/a:b:generateContent", id="escaped"
        ),
        pytest.param(b"/v1/models/a%252Fb", "/v1/models/a%2Fb", id="decoded once"),
        pytest.param(b"/v1/messages?beta=true", "/v1/messages", id="with its query"),
        pytest.param(b"/%C3%A9", "/é", id="UTF-8"),
        pytest.param(b"/%ff", "/\N{REPLACEMENT CHARACTER}", id="not UTF-8"),
        pytest.param(None, "/a%2Fb é", id="a server without raw paths"),
    ],
)
def test_a_path_is_decoded_exactly_once(raw: bytes | None, path: str) -> None:
    assert request_head(scope(raw, path if raw is None else "/elsewhere")).path == path


def test_the_head_is_taken_as_it_is() -> None:
    assert request_head(scope(b"/v1/messages")) == WireRequest(
        method="POST", path="/v1/messages", query="alt=sse&key=%41", headers=(("x-a", "1"), ("x-b", "é"))
    )


async def test_a_body_is_put_together() -> None:
    receive = receiving(body(b"ab", more=True), body(b"", more=True), body(b"c"))

    assert await read_body(asked(), receive, 3) == b"abc"


@pytest.mark.parametrize("message", [{"type": "http.request"}, body(b"")])
async def test_a_body_may_be_empty(message: Message) -> None:
    assert await read_body(asked(), receiving(message), 10) == b""


@pytest.mark.parametrize(
    "headers", [(("content-length", "4"),), (("content-length", "99999999999999999999"),)]
)
async def test_an_announced_body_over_the_limit_is_refused_unread(headers: Headers) -> None:
    with pytest.raises(TooLarge):
        await read_body(asked(*headers), receiving(), 3)


async def test_a_body_that_grows_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        await read_body(
            asked(("content-length", "3")), receiving(body(b"ab", more=True), body(b"cd", more=True)), 3
        )


@pytest.mark.parametrize("length", ["²", "-5", "many", "", "4, 4"])
async def test_a_strange_length_is_ignored(length: str) -> None:
    assert await read_body(asked(("content-length", length)), receiving(body(b"abc")), 3) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
async def test_a_compressed_body_is_refused(encoding: str) -> None:
    with pytest.raises(BadRequest):
        await read_body(asked(("content-encoding", encoding)), receiving(), 10)


async def test_a_client_may_leave_in_the_middle() -> None:
    receive = receiving(body(b"ab", more=True), {"type": "http.disconnect"})

    with pytest.raises(ClientGone):
        await read_body(asked(("content-encoding", "identity")), receive, 10)


async def test_a_whole_response_has_its_length() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    response = WireResponse(status=200, body=b"{}", headers=(("content-type", "application/json"),))
    await send_whole(send, response, (("x-request-id", "é→"),))

    assert sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"2"),
                (b"x-request-id", b"\xe9?"),
            ],
        },
        {"type": "http.response.body", "body": b"{}"},
    ]
