"""An IR part to wire parts, for upstreams and for clients."""

from __future__ import annotations

import base64

from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    PartsSource,
    Reasoning,
    Refusal,
    Shape,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.protocols.gemini.ext import restore
from aiclient2api.protocols.gemini.schema import NAME, RESOLUTION_OUT, SIGNATURE
from aiclient2api.protocols.ids import is_synthetic
from aiclient2api.protocols.report import LossReport, media_feature
from aiclient2api.protocols.search_results import told_result
from aiclient2api.protocols.stored_items import refuse_unreadable, told_compaction
from aiclient2api.wire import json

Wire = dict[str, object]

CLIENT_KINDS = frozenset({SIGNATURE, "envelope"})
UPSTREAM_KINDS = frozenset({SIGNATURE})


class PartEncoder:
    """Encodes the parts of one message.

    `own`: the message came from this protocol, so nothing is a loss and `ext` goes back. `kinds` are the opaque
    states that may be written. `call_ids`: the reader knows functionCall.id.
    """

    def __init__(
        self, report: LossReport, *, own: bool, kinds: frozenset[str], call_ids: bool = True
    ) -> None:
        self._report = report
        self._own = own
        self._kinds = kinds
        self._to_client = "envelope" in kinds
        self._call_ids = call_ids

    def encode(self, part: Part, path: str, *, spoken_by_model: bool = False) -> list[Wire]:
        """The wire parts; none when the part cannot be shown and its loss is bearable. Raises Unrepresentable."""
        self._note_losses(part, path)
        match part:
            case Text():
                wires = [self._signed(self._text(part), part, path)]
            case Reasoning():
                wires = self._reasoning(part, path)
            case ToolCall():
                wires = [self._signed(self._call(part, path), part, path)]
            case Media():
                wires = self._media(part, path)
            case Refusal():
                self._report.approximated("refusal", path)
                wires = [self._signed({"text": part.text}, part, path)]
            case HostedCall() | Native():
                wires = self._native(part, path, spoken_by_model)
            case Control():
                wires = self._control(part, path)
            case ToolResult():
                raise Unrepresentable("a tool result cannot stand here", path)
        return wires

    def signature(self, opaque: Opaque | None, path: str) -> str | None:
        """The text for `thoughtSignature`, if this state may go there."""
        if opaque is None:
            return None
        if opaque.kind in self._kinds:
            return opaque.data
        self._report.dropped("reasoning.opaque", path)
        return None

    def _signed(self, wire: Wire, part: Part, path: str) -> Wire:
        signature = self.signature(part.opaque, path)
        if signature is not None:
            wire["thoughtSignature"] = signature
        return wire

    def _note_losses(self, part: Part, path: str) -> None:
        if self._own:
            return
        if not (self._to_client and isinstance(part, Text | Refusal | ToolCall | Media)):
            self._report.foreign_ext(part, path)  # AnswerReport sees those of answers, also in streams
        if part.cache is not None:
            self._report.dropped("cache_mark", path)
        if isinstance(part, Text):
            self._report.phase(part, path)
            if part.citations and not self._to_client:
                self._report.dropped("citation", path)

    def _text(self, part: Text) -> Wire:
        if part.shape & Shape.CONTENT_ABSENT and self._own and not part.text:
            return restore(part, {})
        return restore(part, {"text": part.text})

    def _reasoning(self, part: Reasoning, path: str) -> list[Wire]:
        text = "\n\n".join(part.summary or part.raw)
        if not self._to_client and part.opaque is not None and part.opaque.kind not in self._kinds:
            # another vendor's thought means nothing without its signature, which must not travel
            self._report.dropped("reasoning.opaque", path)
            if text:
                self._report.dropped("reasoning.text", path)
            return []
        if not text and part.opaque is None and not self._own:
            return []
        absent = part.shape & Shape.CONTENT_ABSENT and self._own
        wire: Wire = {"thought": True} if absent else {"text": text, "thought": True}
        return [self._signed(restore(part, wire), part, path)]

    def _call(self, part: ToolCall, path: str) -> Wire:
        call: Wire = {"name": part.name}
        if self._call_ids and not (part.synthetic_id or is_synthetic(part.call_id)):
            call = {"id": part.call_id, **call}
        if not (self._own and part.shape & Shape.CONTENT_ABSENT):
            call["args"] = self._arguments(part, path)
        return restore(part, {"functionCall": call})

    def _arguments(self, part: ToolCall, path: str) -> object:
        if part.kind == "custom":
            self._report.emulated("tool.custom", path)
            return {"input": part.arguments}
        if not part.arguments:
            return {}
        data = part.arguments.encode()
        if json.is_object(data):
            return Raw(data)
        self._report.emulated("tool_call.arguments", path, "not a JSON object")
        return {"_raw": part.arguments}

    def _media(self, part: Media, path: str) -> list[Wire]:
        wires = self._source(part, path)
        if self._own and wires:
            wire = wires[0]
            data = wire.get("inlineData", wire.get("fileData"))
            if part.filename is not None and isinstance(data, dict):
                data["displayName"] = part.filename
            if part.thought:
                wire["thought"] = True
            restore(part, wire)
        else:
            self._note_media(part, path)
        self._resolve(part, wires, path)
        if wires:
            self._signed(wires[0], part, path)
        return wires

    def _note_media(self, part: Media, path: str) -> None:
        if part.filename is not None:
            self._report.dropped("media.filename", path)
        if part.title is not None or part.context is not None:
            self._report.dropped("media.title", path)
        if part.cite:
            self._report.dropped("citation", path)
        if part.transcript:
            self._report.dropped("media.transcript", path)

    def _resolve(self, part: Media, wires: list[Wire], path: str) -> None:
        """Resolution per part exists since Gemini 3, as ids of calls do."""
        if part.detail in (None, "auto") or not wires:
            return
        level = RESOLUTION_OUT.get(part.detail or "")
        if level is None or not (self._own or self._call_ids):
            self._report.dropped("media.detail", path)
            return
        wires[0]["mediaResolution"] = {"level": level}

    def _source(self, part: Media, path: str) -> list[Wire]:
        feature = media_feature(part)
        match part.source:
            case Inline(mime, data):
                return [{"inlineData": {"mimeType": mime, "data": data}}]
            case Url(url, mime):
                if not self._own:
                    self._report.approximated(feature, path, "the upstream fetches the address")
                return [{"fileData": _file_data(url, mime)}]
            case FileRef(ref, mime, protocol):
                if protocol == NAME:
                    return [{"fileData": _file_data(ref, mime)}]
                if self._to_client:
                    self._report.dropped(feature, path, "a file of another provider")
                    return []
                raise Unrepresentable(f"the file {ref!r} is stored at another provider", path)
            case TextSource(text, mime):
                self._report.approximated(feature, path, "sent as inline text")
                return [{"inlineData": {"mimeType": mime, "data": base64.b64encode(text.encode()).decode()}}]
            case PartsSource(parts):
                self._report.approximated(feature, path, "sent as separate parts")
                return [wire for inner in parts for wire in self.encode(inner, path)]

    def _native(self, part: HostedCall | Native, path: str, spoken_by_model: bool) -> list[Wire]:
        if part.protocol == NAME:
            return [_members(part.raw)]
        told = told_result(part, self._report, path)
        if told is not None:
            return [{"text": told}]
        shadow = part.shadow if isinstance(part, HostedCall) else None
        if shadow:
            self._report.emulated("tool.hosted", path, part.wire_type)
            return [{"text": shadow}]
        if not (spoken_by_model or self._to_client):
            raise Unrepresentable(f"{part.wire_type or 'this'} content only exists in {part.protocol}", path)
        self._report.dropped("tool.hosted", path, part.wire_type)
        return []

    def _control(self, part: Control, path: str) -> list[Wire]:
        if not self._to_client:
            summary = told_compaction(part)
            if summary is not None:
                self._report.approximated("control.compaction", path, "its summary as text")
                return [{"text": summary}]
            refuse_unreadable(part, path)
        self._report.dropped(f"control.{part.kind}", path, part.protocol)
        return []


def _members(raw: Raw) -> Wire:
    return dict(json.decode(raw, dict[str, Raw]))


def _file_data(uri: str, mime: str | None) -> Wire:
    """The media type only when somebody said it: a wrong guess is worse than none."""
    return {"fileUri": uri} if mime is None else {"mimeType": mime, "fileUri": uri}
