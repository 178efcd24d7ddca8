"""Content blocks to parts, the same for requests and answers."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Part,
    PartsSource,
    Reasoning,
    Shape,
    Source,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.protocols import carrier, data_url
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.schema import CONTROL, HOSTED, NAME, family
from aiclient2api.wire.json import NULL, Members, decode, is_string, parse_array, text

_EPHEMERAL = Raw(b'"ephemeral"')


def decode_blocks(blocks: list[Raw], path: str) -> list[Part]:
    """Every block, in order."""
    return [decode_block(block, f"{path}[{index}]") for index, block in enumerate(blocks)]


def decode_content(content: Raw, path: str) -> tuple[list[Part], int]:
    """The parts of a string or a block list, and the shape that tells which it was."""
    if is_string(content):
        return [Text(text=decode(content, str, path))], Shape.CONTENT_STRING
    return decode_blocks(parse_array(content, path), path), 0


def decode_block(block: Raw, path: str) -> Part:
    """One block; a type we do not know becomes a Native part."""
    members = Members.parse(block, path)
    kind = members.require("type", str)
    match kind:
        case "text":
            return _text(members)
        case "thinking" | "redacted_thinking":
            return _reasoning(members, kind)
        case "tool_use":
            return _tool_call(members)
        case "tool_result":
            return _tool_result(members)
        case "image" | "document":
            return _media(members, kind) or Native(protocol=NAME, wire_type=kind, raw=block)
        case _:
            return _native(members, kind, block)


def _native(members: Members, kind: str, block: Raw) -> Part:
    """Blocks that only this protocol can use: kept whole."""
    if kind in CONTROL:
        return Control(protocol=NAME, kind=kind, raw=block)
    if kind not in HOSTED:
        return Native(protocol=NAME, wire_type=kind, raw=block)
    name, side = HOSTED[kind]
    if kind == "server_tool_use":
        name = family(members.take("name", str) or "")
    return HostedCall(protocol=NAME, wire_type=kind, raw=block, family=name, side=side)


def decode_cache(members: Members) -> CacheMark | None:
    """Take `cache_control`."""
    mark = members.object("cache_control")
    if mark is None:
        return None
    if mark.peek("type") == _EPHEMERAL:
        mark.raw("type")
    return CacheMark(ttl=mark.take("ttl", str), ext=keep(mark))


def _text(members: Members) -> Text:
    citations = members.array("citations")
    path = members.at("citations")
    return Text(
        text=members.require("text", str),
        citations=[decode_citation(item, f"{path}[{index}]") for index, item in enumerate(citations or ())],
        cache=decode_cache(members),
        shape=Shape.EMPTY_LIST if citations == [] else 0,
        ext=keep(members),
    )


_CITATIONS: dict[str, Literal["url", "document", "search_result"]] = {
    "web_search_result_location": "url",
    "search_result_location": "search_result",
    "char_location": "document",
    "page_location": "document",
    "content_block_location": "document",
}


def decode_citation(citation: Raw, path: str) -> Citation:
    """One citation; those that this gateway wrote itself lose their native form."""
    members = Members.parse(citation, path)
    kind = members.take("type", str) or ""
    ours = (members.take("encrypted_index", str) or "").startswith(carrier.MAGIC)
    url = members.take("url", str) or members.take("source", str)
    title = members.take("title", str) or members.take("document_title", str)
    return Citation(
        kind=_CITATIONS.get(kind, "other"),
        url=url,
        title=title,
        quote=members.take("cited_text", str) or None,
        raw=None if ours else citation,
        protocol="" if ours else NAME,
    )


def _reasoning(members: Members, kind: Literal["thinking", "redacted_thinking"]) -> Reasoning:
    if kind == "redacted_thinking":
        data = members.require("data", str)
        state = carrier.opaque("anthropic.redacted", data)
        return Reasoning(redacted=True, opaque=state, cache=decode_cache(members), ext=keep(members))
    text = members.require("thinking", str)
    signature = members.take("signature", str)
    return Reasoning(
        summary=[text] if text else [],
        opaque=carrier.opaque("anthropic.signature", signature) if signature else None,
        cache=decode_cache(members),
        ext=keep(members),
    )


def _tool_call(members: Members) -> ToolCall:
    return ToolCall(
        call_id=members.require("id", str),
        name=members.require("name", str),
        arguments=decode_arguments(members.raw("input"), members.at("input")),
        cache=decode_cache(members),
        ext=keep(members),
    )


def decode_arguments(value: Raw | None, path: str) -> str:
    """The exact text of an `input` object; `{"_raw": text}` stands for text that was not an object."""
    if value is None or value == NULL:
        raise MalformedMessage("is required", path)
    arguments = text(value, path)
    if not arguments.startswith("{"):
        raise MalformedMessage("must be an object", path)
    if '"_raw"' in arguments:
        members = Members.parse(value, path)
        whole = members.raw("_raw")
        if whole is not None and is_string(whole) and not members.rest:
            return decode(whole, str, path)
    return arguments


def _tool_result(members: Members) -> ToolResult:
    content = members.raw("content")
    parts: list[Part] = []
    shape = Shape.CONTENT_ABSENT
    if content is not None and content != NULL:
        parts, shape = decode_content(content, members.at("content"))
    return ToolResult(
        call_id=members.require("tool_use_id", str),
        parts=parts,
        is_error=members.take("is_error", bool),
        cache=decode_cache(members),
        shape=shape,
        ext=keep(members),
    )


def _media(members: Members, kind: Literal["image", "document"]) -> Media | None:
    """None for a kind of source that we do not know."""
    whole = members.peek("source")
    holder = members.object("source")
    if whole is None or holder is None:
        raise MalformedMessage("is required", members.at("source"))
    found = _source(holder)
    if found is None:
        return None
    source, shape = found
    odd: dict[str, Raw] = {"source": whole} if holder.rest else {}
    cite: bool | None = None
    asked = members.peek("citations")
    citations = members.object("citations") if kind == "document" else None
    if asked is not None and citations is not None:
        cite = citations.take("enabled", bool)
        if citations.rest or cite is None:
            odd["citations"] = asked
    return Media(
        kind=kind,
        source=source,
        title=members.take("title", str) if kind == "document" else None,
        context=members.take("context", str) if kind == "document" else None,
        cite=cite,
        cache=decode_cache(members),
        shape=shape,
        ext=keep(members, **odd),
    )


def _source(holder: Members) -> tuple[Source, int] | None:
    match holder.require("type", str):
        case "base64":
            mime, data = holder.require("media_type", str), holder.require("data", str)
            return Inline(mime, data_url.checked(data, holder.at("data"))), 0
        case "url":
            return Url(holder.require("url", str)), 0
        case "file":
            return FileRef(holder.require("file_id", str), protocol=NAME), 0
        case "text":
            mime = holder.take("media_type", str) or "text/plain"
            return TextSource(holder.require("data", str), mime), 0
        case "content":
            content = holder.raw("content")
            if content is None or content == NULL:
                raise MalformedMessage("is required", holder.at("content"))
            parts, shape = decode_content(content, holder.at("content"))
            return PartsSource(parts), shape
        case _:
            return None
