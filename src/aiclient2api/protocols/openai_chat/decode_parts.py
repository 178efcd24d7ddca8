"""Content of messages, wire to IR: strings, parts, media, citations and cache marks."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    FileRef,
    Inline,
    Media,
    Native,
    Part,
    Refusal,
    Shape,
    Text,
    Url,
)
from aiclient2api.protocols import data_url
from aiclient2api.protocols.openai_chat.ext import keep
from aiclient2api.protocols.openai_chat.schema import CONTENT_LIST, NAME, REFUSAL_PART
from aiclient2api.protocols.report import ECHO_SUFFIX
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

AUDIO_MIME = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def decode_content(message: Members) -> tuple[list[Part], int]:
    """A message's `content`, and the shape it had."""
    raw = message.raw("content")
    if raw is None:
        return [], Shape.CONTENT_ABSENT
    if raw == NULL:
        return [], Shape.CONTENT_NULL
    path = message.at("content")
    if json.is_string(raw):
        text = json.decode(raw, str, path)
        return ([Text(text=text)] if text else []), Shape.CONTENT_STRING
    if not json.is_array(raw):
        raise MalformedMessage("must be a string or an array of parts", path)
    items = json.parse_array(raw, path)
    parts = [decode_part(item, f"{path}[{index}]") for index, item in enumerate(items)]
    return parts, CONTENT_LIST if parts else Shape.EMPTY_LIST


def decode_cache(members: Members) -> CacheMark | None:
    """The breakpoint of a part: OpenAI's own, or the Anthropic spelling that other gateways accept."""
    for key, kind, known in _MARKS:
        raw = members.raw(key)
        if raw is not None and raw != NULL:
            mark = Members.parse(raw, members.at(key))
            ttl, said = mark.take("ttl", str), mark.take(kind, str)
            is_plain = not mark.rest and said in (None, known)
            return CacheMark(ttl=ttl, ext={f"{NAME}{ECHO_SUFFIX}" if is_plain else NAME: {key: raw}})
    return None


_MARKS: Final = (("prompt_cache_breakpoint", "mode", "explicit"), ("cache_control", "type", "ephemeral"))
"""Spellings of a breakpoint, with the member that says what it is, and the word that means no more than that."""


def decode_annotations(message: Members) -> list[Citation]:
    """A message's citations; kinds that we do not know keep their raw form."""
    items = message.array("annotations") or ()
    return [decode_annotation(raw, f"{message.at('annotations')}[{i}]") for i, raw in enumerate(items)]


def decode_annotation(raw: Raw, path: str) -> Citation:
    """One citation."""
    members = Members.parse(raw, path)
    if members.take("type", str) != "url_citation":
        return Citation(kind="other", raw=raw, protocol=NAME)
    inner = members.object("url_citation") or Members({})
    start, end = inner.take("start_index", int), inner.take("end_index", int)
    return Citation(
        kind="url",
        url=inner.take("url", str),
        title=inner.take("title", str),
        span=(start, end) if start is not None and end is not None else None,
        raw=raw,
        protocol=NAME,
    )


def decode_part(raw: Raw, path: str) -> Part:
    """One part of a content list."""
    part = Members.parse(raw, path)
    type_ = part.require("type", str)
    match type_:
        case "text":
            return Text(text=part.require("text", str), cache=decode_cache(part), ext=keep(part))
        case "refusal":
            return Refusal(text=part.require("refusal", str), shape=REFUSAL_PART, ext=keep(part))
        case "image_url" | "video_url":
            return _decode_linked(part, "image" if type_ == "image_url" else "video")
        case "input_audio":
            return _decode_audio(part)
        case "file":
            return _decode_file(part, raw)
        case _:
            return Native(protocol=NAME, wire_type=type_, raw=raw)


def _decode_linked(part: Members, kind: Literal["image", "video"]) -> Media:
    """`image_url` and the de-facto `video_url`."""
    inner = _inner(part, f"{kind}_url")
    return Media(
        kind=kind,
        source=_source(inner, "url"),
        detail=inner.take("detail", str),
        cache=decode_cache(part),
        ext=keep(part, **{f"{kind}_url": inner}),
    )


def _decode_audio(part: Members) -> Media:
    inner = _inner(part, "input_audio")
    format_ = inner.require("format", str)
    return Media(
        kind="audio",
        source=Inline(
            AUDIO_MIME.get(format_, f"audio/{format_}"),
            data_url.checked(inner.require("data", str), inner.at("data")),
        ),
        cache=decode_cache(part),
        ext=keep(part, input_audio=inner),
    )


def _decode_file(part: Members, raw: Raw) -> Part:
    inner = _inner(part, "file")
    ref = inner.take("file_id", str)
    if ref is not None:
        source: FileRef | Inline | Url = FileRef(ref, protocol=NAME)
    elif (inner.peek("file_data") or NULL) == NULL:
        raise MalformedMessage("needs file_data or file_id", inner.path)
    else:
        source = _source(inner, "file_data")
    if isinstance(source, Url) and not source.url.startswith(("http:", "https:", "data:")):
        # some clients send bare base64; without a media type it means nothing to anybody else
        return Native(protocol=NAME, wire_type="file", raw=raw)
    mime = source.mime or ""
    return Media(
        kind="document" if mime == "application/pdf" or mime.startswith("text/") else "file",
        source=source,
        filename=inner.take("filename", str),
        cache=decode_cache(part),
        ext=keep(part, file=inner),
    )


def _inner(part: Members, key: str) -> Members:
    inner = part.object(key)
    if inner is None:
        raise MalformedMessage("is required", part.at(key))
    return inner


def _source(inner: Members, key: str) -> Inline | Url:
    """The data or address in a member; a `data:` URL with more in it than we keep stays in ext as it was."""
    exact = inner.peek(key)
    url = inner.require(key, str)
    source = data_url.parse(url)
    if isinstance(source, Inline):
        data_url.checked(source.data, inner.at(key))
    if isinstance(source, Inline) and exact is not None and not url.startswith(f"data:{source.mime};base64,"):
        inner.rest[key] = exact
    return source
