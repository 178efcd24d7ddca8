"""A wire part to an IR part: the same parts appear in requests, answers and streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    Reasoning,
    Shape,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.protocols import carrier, data_url
from aiclient2api.protocols.gemini.ext import keep
from aiclient2api.protocols.gemini.fields import child, elements, fields
from aiclient2api.protocols.gemini.schema import HOSTED_PARTS, NAME, RESOLUTIONS, SIGNATURE
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

MediaKind = Literal["image", "audio", "video", "document", "file"]

_FILE_SERVICE = "https://generativelanguage.googleapis.com/"
_URL_SAFE = str.maketrans("-_", "+/")
_VIDEO_SITES = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")


class _Modifiers(Struct, frozen=True):
    """What any part may carry beside its data."""

    opaque: Opaque | None
    thought: bool


def decode_part(raw: Raw, path: str) -> Part:
    """The IR part. A call without id has an empty `call_id`, so has a result: the caller knows the context."""
    part = fields(raw, path)
    for wire_type, (family, side) in HOSTED_PARTS.items():
        if wire_type in part:
            return HostedCall(
                protocol=NAME,
                wire_type=wire_type,
                raw=raw,
                family=family,
                side="call" if side == "call" else "result",
            )
    decode = next((found for name, found in _BY_DATA.items() if part.peek(name) not in (None, NULL)), None)
    if decode is None and not _is_bare_signature(part):
        return Native(protocol=NAME, wire_type=next(iter(part.rest), None), raw=raw)
    signature = part.take("thoughtSignature", str)
    modifiers = _Modifiers(
        carrier.opaque(SIGNATURE, signature) if signature else None, part.take("thought", bool) or False
    )
    return (decode or _text)(part, modifiers)


def _is_bare_signature(part: Members) -> bool:
    """Clients keep a part that is nothing but a signature (the empty text is lost in their JSON)."""
    return "thoughtSignature" in part and not part.rest.keys() - {"thoughtSignature", "thought"}


def _text(part: Members, modifiers: _Modifiers) -> Part:
    absent = "text" not in part
    text = part.take("text", str) or ""
    shape = Shape.CONTENT_ABSENT if absent else 0
    if modifiers.thought:
        summary = [text] if text else []
        return Reasoning(summary=summary, opaque=modifiers.opaque, shape=shape, ext=keep(part))
    return Text(text=text, opaque=modifiers.opaque, shape=shape, ext=keep(part))


def _inline_data(part: Members, modifiers: _Modifiers) -> Part:
    data = child(part, "inlineData")
    assert data is not None
    mime = data.require("mimeType", str)
    media = Media(
        kind=_kind(mime),
        source=Inline(mime, _standard(data_url.checked(data.require("data", str), data.at("data")))),
        filename=data.take("displayName", str),
        detail=_detail(part),
        thought=modifiers.thought,
        opaque=modifiers.opaque,
    )
    return msgspec.structs.replace(media, ext=keep(part, inlineData=data))


def _standard(data: str) -> str:
    """Google takes both alphabets of base64, and its SDKs write the URL-safe one that nobody else takes."""
    return data.translate(_URL_SAFE) if "-" in data or "_" in data else data


def _file_data(part: Members, modifiers: _Modifiers) -> Part:
    data = child(part, "fileData")
    assert data is not None
    uri, mime = data.require("fileUri", str), data.take("mimeType", str)
    is_public = uri.startswith(("https://", "http://")) and not uri.startswith(_FILE_SERVICE)
    media = Media(
        kind="video" if uri.startswith(_VIDEO_SITES) else _kind(mime or ""),
        source=Url(uri, mime) if is_public else FileRef(uri, mime, NAME),
        filename=data.take("displayName", str),
        detail=_detail(part),
        thought=modifiers.thought,
        opaque=modifiers.opaque,
    )
    return msgspec.structs.replace(media, ext=keep(part, fileData=data))


def _kind(mime: str) -> MediaKind:
    main = mime.partition("/")[0]
    if main == "image" or main == "audio" or main == "video":
        return main
    return "document" if mime == "application/pdf" or main == "text" else "file"


def _detail(part: Members) -> str | None:
    """Only the plain levels have a word in the IR; the rest stays in `ext`."""
    raw = part.peek("mediaResolution")
    if raw is None or raw == NULL:
        return None
    resolution = fields(raw, part.at("mediaResolution"))
    if resolution.rest.keys() != {"level"}:
        return None
    detail = RESOLUTIONS.get(resolution.take("level", str) or "")
    if detail is not None:
        part.raw("mediaResolution")
    return detail


def _function_call(part: Members, modifiers: _Modifiers) -> Part:
    call = child(part, "functionCall")
    assert call is not None
    call_id, name, args = call.take("id", str), call.require("name", str), call.raw("args")
    if args is not None and args != NULL and memoryview(args)[0] != 0x7B:
        raise MalformedMessage("must be an object", call.at("args"))
    absent = args is None or args == NULL
    found = ToolCall(
        call_id=call_id or "",
        name=name,
        arguments="{}" if args is None or absent else arguments_text(args),
        synthetic_id=not call_id,
        opaque=modifiers.opaque,
        shape=Shape.CONTENT_ABSENT if absent else 0,
    )
    return msgspec.structs.replace(found, ext=keep(part, functionCall=call))


def arguments_text(args: Raw) -> str:
    """A call's arguments without white space, which only the last serializer put there (every client echoes with
    its own), all else exact. Text that was no object travels as `{"_raw": text}`.
    """
    data = msgspec.json.format(json.text(args).encode(), indent=-1)
    if b'"_raw"' in data:
        members = Members.parse(args)
        raw = members.raw("_raw")
        if raw is not None and json.is_string(raw) and not members.rest:
            return json.decode(raw, str)
    return data.decode()


def _function_response(part: Members, modifiers: _Modifiers) -> Part:
    result = child(part, "functionResponse")
    assert result is not None
    call_id, name, response = result.take("id", str), result.require("name", str), result.raw("response")
    absent = response is None or response == NULL
    outcome = _Outcome() if response is None or absent else _outcome(response, result.at("response"))
    media = [decode_part(raw, path) for raw, path in elements(result, "parts")]
    found = ToolResult(
        call_id=call_id or "",
        name=name,
        parts=[*outcome.parts, *media],
        structured=outcome.structured,
        is_error=outcome.is_error,
        opaque=modifiers.opaque,
        shape=Shape.CONTENT_ABSENT if absent else 0,
    )
    return msgspec.structs.replace(found, ext=keep(part, functionResponse=result))


class _Outcome(Struct, frozen=True):
    parts: list[Part] = []
    structured: Raw | None = None
    is_error: bool | None = None


def _outcome(response: Raw, path: str) -> _Outcome:
    """Google's convention is `output` or `error`; any other object is a value of its own."""
    members = Members.parse(response, path)
    names = members.rest.keys()
    for name in ("output", "error"):
        raw = members.peek(name)
        if raw is not None and len(names) == 1 and json.is_string(raw):
            return _Outcome([Text(text=json.decode(raw, str, path))], None, True if name == "error" else None)
    return _Outcome(structured=response)


_BY_DATA: dict[str, Callable[[Members, _Modifiers], Part]] = {
    "text": _text,
    "functionCall": _function_call,
    "functionResponse": _function_response,
    "inlineData": _inline_data,
    "fileData": _file_data,
}
