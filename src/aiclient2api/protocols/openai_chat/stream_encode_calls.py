"""Tool calls of one streamed candidate.

The SDK concatenates strings of fragments, so id, name and type go out once; indexes are dense from 0.
"""

from __future__ import annotations

from typing import Literal

from aiclient2api.ir.parts import Opaque, ToolCall
from aiclient2api.protocols.openai_chat import extra_content
from aiclient2api.protocols.openai_chat.encode_parts import Wire
from aiclient2api.protocols.openai_chat.encode_response import ClientView, custom_input
from aiclient2api.protocols.openai_chat.stream_writer import ChunkWriter
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_Form = Literal["function", "custom", "unpacked", "legacy", "ignored"]


class _Call:
    """An open call. `unpacked` is one whose text must be taken out of JSON arguments, so it waits for its end."""

    __slots__ = ("form", "has_arguments", "header", "index", "opaque", "pieces")

    def __init__(self, header: ToolCall, form: _Form) -> None:
        self.header = header
        self.form = form
        self.opaque = header.opaque
        self.index = -1
        self.pieces: list[str] = []
        self.has_arguments = False


class CallsEncoder:
    """Writes the fragments of the calls; `letters` is the candidate's part order."""

    def __init__(
        self, writer: ChunkWriter, client: ClientView, report: LossReport, letters: list[str]
    ) -> None:
        self._writer = writer
        self._client = client
        self._report = report
        self._letters = letters
        self._calls: dict[int, _Call] = {}
        self._count = 0

    def start(self, number: int, header: ToolCall) -> bytes:
        """A call begins."""
        call = self._calls[number] = _Call(header, self._form(header))
        if call.form == "ignored":
            self._report.dropped("parallel_tools", "response", "function_call holds one call")
        started = b"" if call.form in ("ignored", "unpacked") else self._first_fragment(call, "")
        return started + self.arguments(number, header.arguments)

    def arguments(self, number: int, text: str) -> bytes:
        """A piece of the arguments."""
        call = self._calls[number]
        if not text:
            return b""
        call.has_arguments = True
        if call.form == "function":
            return self._writer.members(
                b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (call.index, json.encode(text))
            )
        if call.form == "custom":
            return self._writer.members(
                b'"tool_calls":[{"index":%d,"custom":{"input":%b}}]' % (call.index, json.encode(text))
            )
        if call.form == "legacy":
            return self._writer.members(b'"function_call":{"arguments":%b}' % json.encode(text))
        call.pieces.append(text)
        return b""

    def sign(self, number: int, opaque: Opaque) -> bytes:
        """The signature, when it comes after the call has begun."""
        call = self._calls[number]
        call.opaque = opaque
        if call.form == "legacy":
            self._report.dropped("reasoning.opaque", "response")
        if call.form not in ("function", "custom"):
            return b""
        # the SDK's stream helper fails on a fragment without `function`
        piece: Wire = (
            {"function": {"arguments": ""}} if call.form == "function" else {"custom": {"input": ""}}
        )
        return self._fragment(call, piece | {"extra_content": extra_content.signature(opaque)})

    def end(self, number: int, *, cut: bool) -> bytes:
        """The call is complete, or cut off."""
        call = self._calls[number]
        if call.form == "unpacked":
            return self._first_fragment(call, custom_input("".join(call.pieces)))
        if call.form in ("function", "legacy") and not call.has_arguments:
            # clients parse the arguments: none are an empty object, unless the call had no time for them
            return b"" if cut else self.arguments(number, "{}")
        return b""

    def _form(self, call: ToolCall) -> _Form:
        self._count += 1
        if self._client.legacy:
            return "legacy" if self._count == 1 else "ignored"
        if call.kind == "custom":
            return "custom"
        return "unpacked" if call.name in self._client.custom else "function"

    def _first_fragment(self, call: _Call, text: str) -> bytes:
        header = call.header
        self._letters.append("c")
        call.index = self._letters.count("c") - 1
        if call.form == "legacy":
            if call.opaque is not None:
                self._report.dropped("reasoning.opaque", "response")
            return self._writer.delta({"function_call": {"name": header.name, "arguments": ""}})
        fragment: Wire = {"id": header.call_id}
        if call.form == "function":
            fragment |= {"type": "function", "function": {"name": header.name, "arguments": text}}
        else:
            fragment |= {"type": "custom", "custom": {"name": header.name, "input": text}}
        if call.opaque is not None:
            fragment["extra_content"] = extra_content.signature(call.opaque)
        return self._fragment(call, fragment)

    def _fragment(self, call: _Call, members: Wire) -> bytes:
        return self._writer.delta({"tool_calls": [{"index": call.index} | members]})
