"""Content parts and tool calls, IR to the wire of an upstream."""

from __future__ import annotations

import base64
import binascii

from msgspec import Struct

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Part,
    PartsSource,
    Refusal,
    Shape,
    Text,
    TextSource,
    ToolCall,
    Url,
)
from aiclient2api.protocols import data_url, ids
from aiclient2api.protocols.openai_chat import extra_content
from aiclient2api.protocols.openai_chat.ext import kept, restore
from aiclient2api.protocols.openai_chat.schema import CALL_ID, NAME
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.protocols.search_results import told_result
from aiclient2api.protocols.stored_items import refuse_unreadable, told_compaction
from aiclient2api.wire import json

_AUDIO_FORMAT = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
_TTL = {"5m": "30m", "1h": "12h"}
_MAX_MARKS = 4

Wire = dict[str, object]


class Target(Struct, frozen=True, kw_only=True):
    """What every step of encoding one request needs to know."""

    report: LossReport
    profile: ModelProfile
    own: bool
    """The request came in this protocol: its own choices are kept as they are."""
    gemini: bool
    """The upstream model is a Gemini behind this protocol: it reads Google's signatures."""

    @property
    def compatible(self) -> bool:
        """The upstream is a server that refuses members which only OpenAI knows."""
        return not self.profile.developer_role


class ContentEncoder:
    """Encodes content parts. Only the last cache marks count, so it is told how many there are."""

    def __init__(self, target: Target, marks: int) -> None:
        self._target = target
        self._marks_to_skip = 0 if target.own else max(0, marks - _MAX_MARKS)

    def parts(self, part: Part, path: str) -> list[Wire]:
        """One part of a user, system or assistant message; several where a document consists of parts."""
        match part:
            case Text():
                if part.citations and not self._target.own:
                    self._target.report.dropped("citation", path)
                return [self._finished(part, {"type": "text", "text": part.text}, path)]
            case Refusal():
                return [self._finished(part, {"type": "refusal", "refusal": part.text}, path)]
            case Media():
                return self._media(part, path)
            case Native() | HostedCall() | Control():
                return self._native(part, path)
            case _:
                raise Unrepresentable("this part cannot stand in the content of a Chat message", path)

    def _finished(self, part: Part, known: Wire, path: str) -> Wire:
        if part.cache is not None:
            known |= self._cache(part.cache, path)
        if not part.ext:
            return known
        self._target.report.foreign_ext(part, path)
        return restore(part, known)

    def _cache(self, cache: CacheMark, path: str) -> Wire:
        own = kept(cache)
        if own:
            return dict[str, object](own)
        self._target.report.foreign_ext(cache, path)
        if self._target.compatible or self._marks_to_skip > 0:
            self._marks_to_skip -= 1
            self._target.report.dropped("cache_mark", path)
            return {}
        ttl = _TTL.get(cache.ttl or "", cache.ttl)
        if ttl != cache.ttl:
            self._target.report.approximated("cache_mark", path, f"{cache.ttl} becomes {ttl}")
        return {"prompt_cache_breakpoint": json.compact({"mode": "explicit", "ttl": ttl})}

    def _native(self, part: Native | HostedCall | Control, path: str) -> list[Wire]:
        """A part that belongs to its own protocol; the one of ours is spliced back."""
        if part.protocol == NAME:
            return [json.decode(part.raw, dict[str, object])]
        if (told := told_result(part, self._target.report, path)) is not None:
            return [{"type": "text", "text": told}]
        if isinstance(part, Native):
            raise Unrepresentable(
                f"content of type {part.wire_type!r} cannot be sent in a Chat message", path
            )
        if isinstance(part, Control):
            summary = told_compaction(part)
            if summary is not None:
                self._target.report.approximated("control.compaction", path, "its summary as text")
                return [{"type": "text", "text": summary}]
            refuse_unreadable(part, path)
            self._target.report.dropped(f"control.{part.kind}", path)
            return []
        if part.shadow is None:
            self._target.report.dropped("tool.hosted", path, part.wire_type)
            return []
        self._target.report.emulated("tool.hosted", path, part.wire_type)
        return [{"type": "text", "text": part.shadow}]

    def _media(self, media: Media, path: str) -> list[Wire]:
        if media.kind not in ("document", "file") and media.filename is not None and not self._target.own:
            self._target.report.dropped("media.filename", path)
        match media.kind:
            case "image":
                known = self._image(media, path)
            case "video":
                known = self._video(media, path)
            case "audio":
                known = self._audio(media, path)
            case "document" | "file":
                return self._document(media, path)
        return [self._finished(media, known, path)]

    def _image(self, media: Media, path: str) -> Wire:
        if isinstance(media.source, FileRef):
            return self._file_ref(media.source, media, path)
        url = _address(media, path)
        return {"type": "image_url", "image_url": json.compact({"url": url, "detail": media.detail})}

    def _video(self, media: Media, path: str) -> Wire:
        if not self._target.own:
            raise Unrepresentable("a Chat message cannot carry video", path)
        return {
            "type": "video_url",
            "video_url": json.compact({"url": _address(media, path), "detail": media.detail}),
        }

    def _audio(self, media: Media, path: str) -> Wire:
        if not isinstance(media.source, Inline):
            raise Unrepresentable("audio in a Chat message must be inline data", path)
        mime = media.source.mime
        format_ = _AUDIO_FORMAT.get(mime, mime.removeprefix("audio/") if self._target.own else None)
        if format_ is None:
            raise Unrepresentable(
                f"audio of type {mime!r} cannot be sent in a Chat message (wav or mp3 only)", path
            )
        return {"type": "input_audio", "input_audio": {"data": media.source.data, "format": format_}}

    def _file_ref(self, source: FileRef, media: Media, path: str) -> Wire:
        if not source.protocol.startswith("openai_"):
            raise Unrepresentable("a file id of another provider cannot be sent in a Chat message", path)
        return {"type": "file", "file": json.compact({"file_id": source.ref, "filename": media.filename})}

    def _document(self, media: Media, path: str) -> list[Wire]:
        report = self._target.report
        is_text = isinstance(media.source, TextSource) or (
            isinstance(media.source, Inline)
            and media.source.mime.startswith("text/")
            and not self._target.own
        )
        if media.context is not None or (media.title is not None and not is_text):
            report.dropped("media.title", path)
        if media.cite:
            report.dropped("citation", path, "the model is not asked to cite this document")
        if media.detail not in (None, "auto") and not self._target.own:
            report.dropped("media.detail", path)
        match media.source:
            case FileRef() as ref:
                return [self._finished(media, self._file_ref(ref, media, path), path)]
            case PartsSource(parts=parts):
                report.approximated("media.document", path, "sent as its parts")
                return [
                    wire for index, part in enumerate(parts) for wire in self.parts(part, f"{path}[{index}]")
                ]
            case TextSource(text=text):
                return [self._text_document(media, text, path)]
            case Url() if not self._target.own:
                raise Unrepresentable("a Chat message cannot carry a document by its URL", path)
            case Inline() as inline if inline.mime.startswith("text/") and not self._target.own:
                return [self._text_document(media, _decoded_text(inline, path), path)]
            case Inline() | Url():
                return [self._finished(media, self._file(media, path), path)]

    def _text_document(self, media: Media, text: str, path: str) -> Wire:
        self._target.report.approximated("media.document", path, "sent as text")
        title = media.title or media.filename
        return self._finished(media, {"type": "text", "text": f"{title}\n\n{text}" if title else text}, path)

    def _file(self, media: Media, path: str) -> Wire:
        filename = media.filename
        if filename is None and not self._target.own:
            filename = "document.pdf"
            self._target.report.defaulted("media.filename", path, filename)
        return {
            "type": "file",
            "file": json.compact({"file_data": _address(media, path), "filename": filename}),
        }


def encode_call(call: ToolCall, target: Target, path: str) -> Wire:
    """One entry of `tool_calls`."""
    call_id = call.call_id
    if not target.own:
        call_id = target.report.call_id(call_id, ids.legal(call_id, CALL_ID), path)
    known: Wire = {"id": call_id, "type": call.kind}
    if call.kind == "custom" and (target.own or not target.compatible):
        known["custom"] = {"name": call.name, "input": call.arguments}
    elif call.kind == "custom":
        arguments = json.encode({"input": call.arguments}).decode()
        known |= {"type": "function", "function": {"name": call.name, "arguments": arguments}}
    else:
        is_exact = target.own or call.shape & Shape.CONTENT_STRING
        arguments = call.arguments or ("" if is_exact else "{}")
        known["function"] = {"name": call.name, "arguments": arguments}
    target.report.foreign_ext(call, path)
    if call.cache is not None and not target.own:
        target.report.dropped("cache_mark", path)
    if call.opaque is not None:
        known |= kept_signature(call, target, path)
    return restore(call, known)


def encode_legacy_call(call: ToolCall) -> Wire:
    """A message's `function_call`."""
    return {"name": call.name, "arguments": call.arguments}


def kept_signature(part: Part, target: Target, path: str) -> Wire:
    """`extra_content` for an upstream that made the part's signature; else nothing and a loss."""
    if part.opaque is None:
        return {}
    if target.gemini and part.opaque.kind == "gemini.signature":
        return {"extra_content": extra_content.signature(part.opaque)}
    target.report.dropped("reasoning.opaque", path)
    return {}


def string_or_list(texts: list[Wire], shape: int) -> object:
    """Content as its source had it: null, a string where one will do, else a list."""
    if not texts:
        return None if shape & Shape.CONTENT_NULL else [] if shape & Shape.EMPTY_LIST else ""
    only = texts[0]
    return only["text"] if len(texts) == 1 and only.keys() == {"type", "text"} else texts


def _address(media: Media, path: str) -> str:
    match media.source:
        case Inline() as inline:
            return data_url.build(inline)
        case Url(url=url):
            return url
        case _:
            raise Unrepresentable(f"this {media.kind} cannot be sent in a Chat message", path)


def _decoded_text(inline: Inline, path: str) -> str:
    try:
        return base64.b64decode(inline.data).decode()
    except (binascii.Error, ValueError):
        raise Unrepresentable("a text document must be valid UTF-8 in base64", path) from None
