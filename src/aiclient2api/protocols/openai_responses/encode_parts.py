"""Content parts: IR to what stands inside a message item or a tool's output."""

from __future__ import annotations

import base64
from typing import Final

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    FileRef,
    Inline,
    Media,
    Native,
    Part,
    PartsSource,
    Refusal,
    Shape,
    Text,
    TextSource,
    Url,
)
from aiclient2api.protocols import data_url
from aiclient2api.protocols.openai_responses.citations import encode_citations
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.logprobs import encode_logprobs
from aiclient2api.protocols.openai_responses.schema import DETAILS, FAMILY, NAME, Scope
from aiclient2api.protocols.search_results import told_result
from aiclient2api.wire import json

_TTL: Final = {"5m": "30m", "1h": "12h", "30m": "30m", "12h": "12h"}
_FILENAMES: Final = {"application/pdf": "document.pdf", "text/plain": "document.txt"}


def encode_input(part: Part, scope: Scope, path: str) -> list[object]:
    """A part for a content list that an upstream reads; usually one, none when it cannot be kept."""
    scope.report.foreign_ext(part, path)
    match part:
        case Text():
            if part.citations and not scope.own:
                scope.report.dropped("citation", path)
            body: dict[str, object] = {"type": "input_text", "text": part.text}
        case Refusal():
            body = {"type": "input_text", "text": part.text}
        case Native() if part.protocol == NAME:
            return [part.raw]
        case Native() if (told := told_result(part, scope.report, path)) is not None:
            body = {"type": "input_text", "text": told}
        case Media():
            if isinstance(part.source, PartsSource):
                return _flattened(part, part.source, scope, path)
            body = _media(part, scope, path)
        case _:
            raise Unrepresentable(f"a {_word(part)} cannot be sent to a Responses upstream", path)
    return [body | _breakpoint(part.cache, scope, path) | kept(part)]


def _word(part: Part) -> str:
    wire_type = getattr(part, "wire_type", None)
    return f"{wire_type} part" if isinstance(wire_type, str) else f"{type(part).__name__.lower()} part"


def _flattened(part: Media, source: PartsSource, scope: Scope, path: str) -> list[object]:
    scope.report.approximated("media.document", path, "sent as its parts")
    return [
        item
        for index, inner in enumerate(source.parts)
        for item in encode_input(inner, scope, f"{path}[{index}]")
    ]


def _media(part: Media, scope: Scope, path: str) -> dict[str, object]:
    if isinstance(part.source, FileRef) and part.source.protocol not in FAMILY:
        raise Unrepresentable("a file id of another provider cannot be sent to a Responses upstream", path)
    match part.kind:
        case "image":
            return _image(part, scope, path)
        case "document" | "file":
            return _file(part, scope, path)
        case "audio" if scope.own and isinstance(part.source, Inline):
            form = part.source.mime.removeprefix("audio/")
            return {"type": "input_audio", "input_audio": {"data": part.source.data, "format": form}}
        case "audio" | "video":
            raise Unrepresentable(f"{part.kind} input cannot be sent to a Responses upstream", path)


def _image(part: Media, scope: Scope, path: str) -> dict[str, object]:
    if part.filename is not None and not scope.own:
        scope.report.dropped("media.filename", path)
    detail = part.detail
    if not scope.own:
        if detail is not None and detail not in DETAILS:
            scope.report.dropped("media.detail", path)
        detail = detail if detail in DETAILS else "auto"
    match part.source:
        case Inline():
            where: dict[str, object] = {"image_url": data_url.build(part.source)}
        case Url():
            where = {"image_url": part.source.url}
        case FileRef():
            where = {"file_id": part.source.ref}
        case _:
            raise Unrepresentable("an image must be inline, a URL or a file", path)
    return {"type": "input_image", **where, **json.compact({"detail": detail})}


def _file(part: Media, scope: Scope, path: str) -> dict[str, object]:
    if part.title is not None or part.context is not None:
        scope.report.dropped("media.title", path)
    if part.cite:
        scope.report.dropped("citation", path, "the upstream cannot be asked to cite a document")
    if part.detail not in (None, "auto") and not scope.own:
        scope.report.dropped("media.detail", path)
    filename = part.filename
    match part.source:
        case Inline(mime, data):
            bare = part.shape & Shape.CONTENT_STRING and scope.own
            where: dict[str, object] = {"file_data": data if bare else data_url.build(part.source)}
            filename = filename or _default_filename(mime, scope, path)
        case TextSource(text, mime):
            scope.report.approximated("media.document", path, "sent as a text file")
            encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
            where = {"file_data": data_url.build(Inline(mime, encoded))}
            filename = filename or _default_filename(mime, scope, path)
        case Url(url):
            where = {"file_url": url}
        case FileRef(ref):
            where = {"file_id": ref}
        case PartsSource():
            raise Unrepresentable("a document made of parts cannot be sent as a file", path)
    return {
        "type": "input_file",
        **where,
        **json.compact({"filename": filename, "detail": part.detail if scope.own else None}),
    }


def _default_filename(mime: str, scope: Scope, path: str) -> str | None:
    """The API asks for a name beside `file_data`; a client of this protocol chose to send none."""
    if scope.own:
        return None
    scope.report.defaulted("media.filename", path)
    return _FILENAMES.get(mime, "document")


def _breakpoint(mark: CacheMark | None, scope: Scope, path: str) -> dict[str, object]:
    if mark is None:
        return {}
    scope.report.foreign_ext(mark, path)
    ttl = mark.ttl
    if ttl is not None and not scope.own:
        ttl = _TTL.get(ttl)
        if ttl != mark.ttl:
            scope.report.approximated("cache_mark", path, f"ttl {mark.ttl} sent as {ttl or 'the default'}")
    return {"prompt_cache_breakpoint": {"mode": "explicit", **json.compact({"ttl": ttl}), **kept(mark)}}


def encode_output(part: Text | Refusal, scope: Scope, path: str) -> dict[str, object]:
    """A part of an assistant message for an upstream."""
    scope.report.foreign_ext(part, path)
    if part.cache is not None:
        scope.report.dropped("cache_mark", path)
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text, **kept(part)}
    body: dict[str, object] = {"type": "output_text", "text": part.text}
    annotations = encode_citations(part, scope.report, path)
    if annotations or (scope.own and not part.shape & Shape.CONTENT_ABSENT):
        body["annotations"] = annotations
    if part.logprobs and scope.own:
        body["logprobs"] = encode_logprobs(part.logprobs)
    elif part.shape & Shape.EMPTY_LIST and scope.own:
        body["logprobs"] = []
    return {**body, **kept(part)}
