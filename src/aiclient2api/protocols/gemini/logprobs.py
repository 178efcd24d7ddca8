"""Token probabilities of a candidate, both ways."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.parts import TokenLogprob
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.fields import elements, fields
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.wire.json import Members


def decode_logprobs(raw: Raw) -> list[TokenLogprob]:
    """The chosen tokens with their alternatives."""
    result = fields(raw, "logprobsResult")
    chosen = [_token(fields(item, path)) for item, path in elements(result, "chosenCandidates")]
    top = [
        [_token(fields(item, where)) for item, where in elements(fields(step, path), "candidates")]
        for step, path in elements(result, "topCandidates")
    ]
    return [
        TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            bytes=token.bytes,
            ext=token.ext,
            top=top[index] if index < len(top) else [],
        )
        for index, token in enumerate(chosen)
    ]


def _token(token: Members) -> TokenLogprob:
    identifier, text = token.raw("tokenId"), token.take("token", str) or ""
    return TokenLogprob(
        token=text,
        bytes=list(text.encode("utf-8", "replace")),
        logprob=token.take("logProbability", float) or 0.0,
        ext={NAME: {"tokenId": identifier}} if identifier is not None else None,
    )


def encode_logprobs(logprobs: list[TokenLogprob]) -> Wire:
    """The `logprobsResult` of a candidate."""
    wire: Wire = {"chosenCandidates": [_plain(item) for item in logprobs]}
    if any(item.top for item in logprobs):
        wire["topCandidates"] = [{"candidates": [_plain(top) for top in item.top]} for item in logprobs]
    return wire


def _plain(item: TokenLogprob) -> Wire:
    kept = item.ext.get(NAME, {}) if item.ext else {}
    return {"token": item.token, "logProbability": item.logprob, **kept}
