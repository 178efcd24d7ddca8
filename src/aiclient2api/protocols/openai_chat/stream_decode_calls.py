"""Tool calls of a streamed candidate, put together from their fragments."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Opaque, Shape, ToolCall
from aiclient2api.protocols import ids
from aiclient2api.protocols.ext import unheard
from aiclient2api.protocols.openai_chat.extra_content import Extra
from aiclient2api.protocols.openai_chat.schema import (
    CALL_MEMBERS,
    NAME,
    FunctionFragment,
    ToolFragment,
    fragment_decoder,
    has_value,
)
from aiclient2api.protocols.openai_chat.stream_sink import PartSink
from aiclient2api.wire.json import Members

_LEGACY = -1
"""The key of a `function_call`, beside the indexes of `tool_calls`."""


def decode_signature(raw: Raw) -> Opaque | None:
    """The signature in a fragment's `extra_content`."""
    return Extra(Members({"extra_content": raw}, "choices.delta")).opaque


def parse_fragment(raw: Raw) -> ToolFragment:
    """One entry of a chunk's `tool_calls`. Raises MalformedMessage."""
    try:
        return fragment_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a piece of a call: {error}", "choices.delta.tool_calls") from None


class _Call:
    """A call that is being received. It opens once its name is known."""

    __slots__ = ("beside", "call_id", "is_custom", "number", "opaque", "waiting")

    def __init__(self, call_id: str, is_custom: bool) -> None:
        self.call_id = call_id
        self.is_custom = is_custom
        self.opaque: Opaque | None = None
        self.beside: dict[str, Raw] = {}
        self.waiting = ""
        self.number: int | None = None


class CallsDecoder:
    """Turns call fragments into parts. Calls stay open until the end: their fragments may interleave."""

    def __init__(self, sink: PartSink, response_id: str) -> None:
        self.any = False
        self._sink = sink
        self._response_id = response_id
        self._open: dict[int, _Call] = {}
        self._count = 0

    def fragment(self, raw: Raw) -> None:
        """A piece of a call of `tool_calls`. Raises MalformedMessage."""
        fragment = parse_fragment(raw)
        key, piece, text = fragment.index or 0, fragment.function, None
        if fragment.custom is not None:
            piece, text = FunctionFragment(name=fragment.custom.name), fragment.custom.input
        elif piece is not None:
            text = piece.arguments
        name = piece.name if piece is not None else None
        call = self._open.get(key)
        if call is not None and self._is_another(call, fragment.id, name):
            self._close(self._open.pop(key))
            call = None
        if call is None:
            call = self._new(key, fragment.custom is not None or fragment.type == "custom")
        if fragment.id and call.number is None:
            call.call_id = fragment.id
        if name and call.number is None:
            call.beside = unheard(raw, CALL_MEMBERS)
        if has_value(fragment.extra_content):
            self._sign(call, decode_signature(fragment.extra_content))
        self._grow(call, name, text)

    def legacy(self, fragment: FunctionFragment) -> None:
        """A piece of the `function_call`."""
        call = self._open.get(_LEGACY) or self._new(_LEGACY, is_custom=False)
        self._grow(call, fragment.name, fragment.arguments, Shape.LEGACY_FUNCTION)

    def close(self) -> None:
        """All calls are complete."""
        for call in self._open.values():
            self._close(call)
        self._open.clear()

    @staticmethod
    def _is_another(call: _Call, call_id: str | None, name: str | None) -> bool:
        """Servers that always send index 0 begin another call with another id."""
        if not call_id or call_id == call.call_id:
            return False
        return bool(call.call_id or (call.number is not None and name))

    def _new(self, key: int, is_custom: bool) -> _Call:
        self.any = True
        call = self._open[key] = _Call("", is_custom)
        return call

    def _sign(self, call: _Call, opaque: Opaque | None) -> None:
        if opaque is None or call.opaque is not None:
            return
        call.opaque = opaque
        if call.number is not None:
            self._sink.value(call.number, "opaque", opaque)

    def _grow(self, call: _Call, name: str | None, text: str | None, shape: int = 0) -> None:
        if call.number is None and name:
            self._start(call, name, shape)
        if not text:
            return
        if call.number is None:
            call.waiting += text
        else:
            self._sink.delta(call.number, text, "arguments")

    def _start(self, call: _Call, name: str, shape: int = 0) -> int:
        where = (self._response_id, str(self._sink.candidate), str(self._count))
        self._count += 1
        header = ToolCall(
            call_id=call.call_id or ids.synthetic_call_id(*where),
            synthetic_id=not call.call_id,
            name=name,
            kind="custom" if call.is_custom else "function",
            opaque=call.opaque,
            shape=shape,
            ext={NAME: call.beside} if call.beside else None,
        )
        number = call.number = self._sink.start(header)
        if call.waiting:
            self._sink.delta(number, call.waiting, "arguments")
        return number

    def _close(self, call: _Call) -> None:
        self._sink.end(self._start(call, "") if call.number is None else call.number)
