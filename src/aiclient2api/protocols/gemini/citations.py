"""The sources of a candidate's text, both ways."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Raw

from aiclient2api.ir.parts import Citation
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.fields import child, elements, fields
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire.json import Members


def decode_grounding(raw: Raw, text: str) -> list[Citation]:
    """The web sources of `text`. Google counts its segments in UTF-8 bytes, the IR in code points."""
    grounding = fields(raw, "groundingMetadata")
    sources = [_source(fields(chunk, path)) for chunk, path in elements(grounding, "groundingChunks")]
    encoded = text.encode("utf-8", "surrogatepass")
    found: list[Citation] = []
    for raw_support, path in elements(grounding, "groundingSupports"):
        support = fields(raw_support, path)
        segment = child(support, "segment") or Members({})
        start, end = segment.take("startIndex", int) or 0, segment.take("endIndex", int)
        span = None if end is None or end > len(encoded) else (_points(encoded, start), _points(encoded, end))
        quote = segment.take("text", str)
        for index in support.take("groundingChunkIndices", list[int]) or []:
            source = sources[index] if 0 <= index < len(sources) else None
            if source is not None:
                url, title = source
                found.append(
                    Citation(kind="url", url=url, title=title, quote=quote, span=span, protocol=NAME)
                )
    return found


def _source(chunk: Members) -> tuple[str, str | None] | None:
    web = child(chunk, "web") or child(chunk, "retrievedContext") or child(chunk, "maps")
    url = web.take("uri", str) if web is not None else None
    return (url, web.take("title", str)) if web is not None and url is not None else None


def _points(encoded: bytes, offset: int) -> int:
    return len(encoded[:offset].decode("utf-8", "ignore"))


def encode_grounding(texts: Iterable[tuple[int, str, list[Citation]]], report: LossReport) -> Wire | None:
    """Grounding of the texts of a candidate, each with its part index; None without a web source.

    A citation without an address (of a document in the request) has no place there.
    """
    chunks: list[Wire] = []
    supports: list[Wire] = []
    known: dict[str, int] = {}
    for part_index, text, citations in texts:
        for citation in citations:
            if citation.url is None:
                report.dropped("citation", f"response.parts[{part_index}]")
                continue
            report.quote(citation, f"response.parts[{part_index}]")
            if citation.url not in known:
                known[citation.url] = len(chunks)
                web: Wire = {"uri": citation.url}
                if citation.title is not None:
                    web["title"] = citation.title
                chunks.append({"web": web})
            start, end = citation.span or (0, len(text))
            segment: Wire = {
                "startIndex": len(text[:start].encode("utf-8", "surrogatepass")),
                "endIndex": len(text[:end].encode("utf-8", "surrogatepass")),
                "text": text[start:end],
            }
            if part_index:
                segment["partIndex"] = part_index
            supports.append({"segment": segment, "groundingChunkIndices": [known[citation.url]]})
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else None
