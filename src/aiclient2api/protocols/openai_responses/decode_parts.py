"""Content parts as they stand inside a message item or a tool's output: wire to IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import CacheMark, FileRef, Inline, Media, Native, Part, Refusal, Shape, Text, Url
from aiclient2api.protocols import data_url
from aiclient2api.protocols.openai_responses.citations import decode_citation
from aiclient2api.protocols.openai_responses.ext import keep
from aiclient2api.protocols.openai_responses.logprobs import decode_logprobs
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_UNTYPED: Final = "application/octet-stream"


def decode_input_content(members: Members, key: str) -> list[Part]:
    """The parts of a content list that a client wrote."""
    path = members.at(key)
    return [decode_input_part(raw, f"{path}[{index}]") for index, raw in enumerate(members.array(key) or ())]


def decode_output_content(members: Members, key: str) -> list[Part]:
    """The parts of a content list that the model wrote."""
    path = members.at(key)
    return [decode_output_part(raw, f"{path}[{index}]") for index, raw in enumerate(members.array(key) or ())]


def decode_output_part(raw: Raw, path: str) -> Part:
    """One part of an output message."""
    members = Members.parse(raw, path)
    match members.require("type", str):
        case "output_text" | "input_text" | "text":
            return _output_text(members)
        case "refusal":
            return Refusal(text=members.require("refusal", str), ext=keep(members))
        case wire_type:
            return Native(protocol=NAME, wire_type=wire_type, raw=raw)


def decode_input_part(raw: Raw, path: str) -> Part:
    """One part of a content list that a client wrote."""
    members = Members.parse(raw, path)
    wire_type = members.require("type", str)
    decode = _INPUT_PARTS.get(wire_type)
    return decode(members) if decode else Native(protocol=NAME, wire_type=wire_type, raw=raw)


def _input_text(members: Members) -> Part:
    return Text(text=members.require("text", str), cache=_cache(members), ext=keep(members))


def _input_image(members: Members) -> Part:
    url, ref = members.take("image_url", str), members.take("file_id", str)
    if url is None and ref is None:
        raise MalformedMessage("image_url or file_id is required", members.path)
    source = data_url.parse(url) if url is not None else FileRef(ref or "", protocol=NAME)
    if isinstance(source, Inline):
        data_url.checked(source.data, members.at("image_url"))
    return Media(
        kind="image",
        source=source,
        detail=members.take("detail", str),
        cache=_cache(members),
        ext=keep(members),
    )


def _input_file(members: Members) -> Part:
    data, url = members.take("file_data", str), members.take("file_url", str)
    ref = members.take("file_id", str)
    shape = 0
    if data is not None:
        source = data_url.parse(data)
        if not isinstance(source, Inline):
            # the API also takes bare base64; the media type is then only in the file name: never guessed
            source, shape = Inline(_UNTYPED, data), Shape.CONTENT_STRING
        data_url.checked(source.data, members.at("file_data"))
    elif url is not None:
        source = Url(url)
    elif ref is not None:
        source = FileRef(ref, protocol=NAME)
    else:
        raise MalformedMessage("file_data, file_url or file_id is required", members.path)
    return Media(
        kind="document",
        source=source,
        shape=shape,
        filename=members.take("filename", str),
        detail=members.take("detail", str),
        cache=_cache(members),
        ext=keep(members),
    )


def _input_audio(members: Members) -> Part:
    audio = members.object("input_audio")
    if audio is None:
        raise MalformedMessage("is required", members.at("input_audio"))
    source = Inline(f"audio/{audio.require('format', str)}", audio.require("data", str))
    return Media(kind="audio", source=source, ext=keep(members))


_INPUT_PARTS: Final[dict[str, Callable[[Members], Part]]] = {
    "input_text": _input_text,
    "output_text": _input_text,
    "text": _input_text,
    "input_image": _input_image,
    "input_file": _input_file,
    "input_audio": _input_audio,
}


def _cache(members: Members) -> CacheMark | None:
    mark = members.object("prompt_cache_breakpoint")
    if mark is None:
        return None
    mark.take("mode", str)  # always `explicit`
    return CacheMark(ttl=mark.take("ttl", str), ext=keep(mark))


def _output_text(members: Members) -> Part:
    text, annotations = members.require("text", str), members.array("annotations")
    logprobs = members.raw("logprobs")
    shape = Shape.CONTENT_ABSENT if annotations is None else 0
    if logprobs is not None and logprobs != json.NULL and not json.parse_array(logprobs):
        shape |= Shape.EMPTY_LIST
    path = members.at("annotations")
    return Text(
        text=text,
        citations=[decode_citation(raw, f"{path}[{i}]") for i, raw in enumerate(annotations or ())],
        logprobs=decode_logprobs(logprobs, members.at("logprobs")),
        shape=shape,
        ext=keep(members),
    )
