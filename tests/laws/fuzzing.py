"""Bytes that are not what they should be: random ones, random JSON, and valid documents with something broken."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import msgspec

from aiclient2api.errors import MalformedMessage, Unrepresentable
from aiclient2api.ir.fold import StreamFailed, fold
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.base import Splice
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse
from tests.laws.exchange import CONVERTERS, client_wire
from tests.laws.plain import Doc, dump
from tests.laws.streams import events
from tests.laws.words import Words, chopped

_SCALARS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63,
    1e308,
    "",
    "x",
    "\x00",
    "null",
    [],
    {},
    [[]],
    {"": None},
    "data:",
    10**40,
)
_NAMES = (
    "model", "messages", "input", "contents", "content", "parts", "role", "type", "text", "tools", "tool_calls", "id",
    "function", "functionCall", "args", "arguments", "name", "usage", "choices", "delta", "index", "output", "item",
    "candidates", "source", "thinking", "signature", "stop", "metadata", "response", "error", "finish_reason",
)  # fmt: skip
_TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\x00", b"\xff", b"null", b"1e999", b"-", b"\\ud800", b"NaN", b"\r",
    b"\n\n", b"data: ", b"event: ", b"[DONE]", b"0" * 50, b"\xef\xbb\xbf", b'"type":"',
)  # fmt: skip


def random_json(words: Words, depth: int = 3) -> Any:
    """A small tree of anything, with names that protocols use."""
    kind = words.count(0, 4)
    if depth == 0 or kind < 2:
        return words.pick(_SCALARS)
    if kind == 2:
        return [random_json(words, depth - 1) for _ in range(words.count(0, 3))]
    return {words.pick(_NAMES): random_json(words, depth - 1) for _ in range(words.count(0, 4))}


def random_bytes(words: Words) -> bytes:
    """Tokens that mean something, in an order that means nothing."""
    return b"".join(words.pick(_TOKENS) for _ in range(words.count(0, 12)))


def broken_tree(tree: Any, words: Words) -> Any:
    """A tree with one node replaced, removed or doubled."""
    if isinstance(tree, dict) and tree and words.count(0, 5):
        name = words.pick(list(tree))
        act = words.count(0, 6)
        if act == 0:
            return {key: value for key, value in tree.items() if key != name}
        if act == 1:
            return tree | {words.pick(_NAMES): random_json(words, 2)}
        return tree | {name: broken_tree(tree[name], words)}
    if isinstance(tree, list) and tree and words.count(0, 5):
        place = words.count(0, len(tree) - 1)
        if words.count(0, 5) == 0:
            return [*tree, tree[place]]
        return [*tree[:place], broken_tree(tree[place], words), *tree[place + 1 :]]
    return random_json(words, 2)


def mutated(body: bytes, words: Words) -> bytes:
    """Bytes with a piece cut out, put in, or doubled."""
    for _ in range(words.count(1, 3)):
        place = words.count(0, len(body))
        length = words.pick((0, 1, 1, 5, 40))
        body = body[:place] + words.pick(_TOKENS) + body[place + length :]
    return body


def hostile(valid: Any, words: Words) -> bytes:
    """A body for a decoder: one of the three kinds."""
    kind = words.count(0, 5)
    if kind == 0:
        return random_bytes(words)
    if kind == 1:
        return dump(random_json(words))
    if kind == 2:
        return mutated(dump(valid), words)
    return dump(broken_tree(valid, words))


def hostile_stream(protocol: str, told: Doc, words: Words) -> bytes:
    """A stream with events lost, doubled, swapped or broken."""
    found = list(events(protocol, told, words))
    for _ in range(words.count(1, 3)):
        if not found:
            break
        place = words.count(0, len(found) - 1)
        act = words.count(0, 4)
        if act == 0:
            del found[place]
        elif act == 1:
            found.insert(place, found[place])
        elif act == 2:
            found[place] = mutated(found[place], words)
        elif act == 3:
            found.append(found.pop(place))
        else:
            head = found[place].partition(b"data: ")[0]
            found[place] = head + b"data: " + dump(random_json(words)) + b"\n\n"
    return b"".join(found)


# ---- every decoder

KINDS: Final = ("request", "splice", "response", "error", "stream", "tap")


def feed(protocol: str, kind: str, body: bytes, words: Words) -> None:
    """Feed one decoder; returns when it took the body or refused it in the one way it may, with the path of a member."""
    with contextlib.suppress(Unrepresentable, StreamFailed):
        try:
            _FEEDERS[kind](protocol, body, words)
        except MalformedMessage as error:
            assert error.path or kind not in _WHOLE or not _is_object(body), (kind, error, body[:200])


_WHOLE: Final = ("request", "response")
"""Kinds whose body is one object, in which something is wrong at some place."""


def _is_object(body: bytes) -> bool:
    """Whether the body is JSON as such, so that what is wrong is a member of it."""
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _asked(protocol: str, body: bytes) -> WireRequest:
    wire = client_wire(protocol, {}, stream=False)
    return WireRequest(path=wire.path, query=wire.query, body=body, headers=wire.headers)


def _request(protocol: str, body: bytes, words: Words) -> None:
    wire = _asked(protocol, body)
    CONVERTERS[protocol].peek(wire)
    CONVERTERS[protocol].decode_request(wire)


def _splice(protocol: str, body: bytes, words: Words) -> None:
    CONVERTERS[protocol].splice(_asked(protocol, body), Splice(model="m2"))


def _response(protocol: str, body: bytes, words: Words) -> None:
    wire = WireResponse(status=200, body=body, headers=JSON_HEADERS)
    CONVERTERS[protocol].usage(wire)
    decoded = CONVERTERS[protocol].decode_response(wire)
    client = words.pick(list(CONVERTERS))
    CONVERTERS[client].encode_response(decoded, ModelRequest(protocol=client, model="m"))


def _error(protocol: str, body: bytes, words: Words) -> None:
    """An error body is never refused: it always tells something."""
    wire = WireResponse(status=words.pick((400, 401, 404, 429, 500, 529, 599)), body=body)
    try:
        info = CONVERTERS[protocol].decode_error(wire)
    except MalformedMessage as error:
        raise AssertionError("an error answer must not be refused") from error
    for converter in CONVERTERS.values():
        converter.encode_error(info)


def _stream(protocol: str, body: bytes, words: Words) -> None:
    converter = CONVERTERS[protocol]
    frames, decoder = converter.frames("text/event-stream"), converter.stream_decoder()
    found = [
        one for chunk in chopped(words, body) for frame in frames.feed(chunk) for one in decoder.feed(frame)
    ]
    fold([*found, *decoder.close()], protocol)


def _tap(protocol: str, body: bytes, words: Words) -> None:
    converter = CONVERTERS[protocol]
    tap = converter.stream_tap(client_wire(protocol, {"model": "m"}, stream=True))
    frames = converter.frames("text/event-stream")
    for chunk in chopped(words, body):
        for frame in frames.feed(chunk):
            tap.feed(frame)
    tap.close()


_FEEDERS: Final = {
    "request": _request,
    "splice": _splice,
    "response": _response,
    "error": _error,
    "stream": _stream,
    "tap": _tap,
}
