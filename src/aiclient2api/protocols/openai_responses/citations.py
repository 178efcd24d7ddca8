"""Annotations of a text, both ways."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.parts import Citation, Text
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire.json import Members


def decode_citation(raw: Raw, path: str = "annotation") -> Citation:
    """An annotation; its offsets count code points, as ours do."""
    members = Members.parse(raw, path)
    match members.take("type", str):
        case "url_citation":
            start, end = members.take("start_index", int), members.take("end_index", int)
            return Citation(
                kind="url",
                url=members.take("url", str),
                title=members.take("title", str),
                span=None if start is None or end is None else (start, end),
                raw=raw,
                protocol=NAME,
            )
        case "file_citation" | "container_file_citation" | "file_path":
            return Citation(kind="file", title=members.take("filename", str), raw=raw, protocol=NAME)
        case _:
            return Citation(kind="other", raw=raw, protocol=NAME)


def encode_citations(part: Text, report: LossReport, path: str) -> list[object]:
    """The annotations of a text; kinds that this protocol does not have are dropped."""
    out: list[object] = []
    for citation in part.citations:
        annotation = encode_citation(citation, len(part.text))
        if annotation is None:
            report.dropped("citation", path)
        else:
            report.quote(citation, path)
            out.append(annotation)
    return out


def encode_citation(citation: Citation, length: int) -> object | None:
    """One annotation. A citation without offsets (Anthropic) covers the whole text of `length`."""
    if citation.protocol == NAME and citation.raw is not None:
        return citation.raw
    if citation.kind != "url" or citation.url is None:
        return None
    start, end = citation.span or (0, length)
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "title": citation.title or citation.url,
        "url": citation.url,
    }
