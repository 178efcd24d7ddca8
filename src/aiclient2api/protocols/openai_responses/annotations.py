"""What hangs on an output text: citations and token logprobs, both ways."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw, Struct

from aiclient2api.ir.parts import Citation, Text, TokenLogprob
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


class _Logprob(Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Logprob] | None = None


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


def decode_logprobs(raw: Raw | None, path: str = "logprobs") -> list[TokenLogprob] | None:
    """Token logprobs; an empty list says nothing."""
    if raw is None or raw == json.NULL or not memoryview(raw):
        return None
    return [_logprob(item) for item in json.decode(raw, list[_Logprob], path)] or None


def _logprob(item: _Logprob) -> TokenLogprob:
    return TokenLogprob(
        token=item.token,
        logprob=item.logprob,
        bytes=item.bytes,
        top=[_logprob(other) for other in item.top_logprobs or ()],
    )


def encode_citations(part: Text, dropped: Callable[[str, str], None], path: str) -> list[object]:
    """The annotations of a text; kinds that this protocol does not have are dropped."""
    out: list[object] = []
    for citation in part.citations:
        annotation = encode_citation(citation, len(part.text))
        if annotation is None:
            dropped("citation", path)
        else:
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


def encode_logprobs(logprobs: list[TokenLogprob]) -> list[object]:
    """Token logprobs with their alternatives."""
    return [
        {**_token(item), "top_logprobs": [_token(alternative) for alternative in item.top]}
        for item in logprobs
    ]


def _token(item: TokenLogprob) -> dict[str, object]:
    # `bytes` is required: where the source has none, those of the token's text
    data = item.bytes if item.bytes is not None else list(item.token.encode("utf-8", "replace"))
    return {"token": item.token, "bytes": data, "logprob": item.logprob}
