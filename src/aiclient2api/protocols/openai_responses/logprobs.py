"""Token probabilities, both ways."""

from __future__ import annotations

from msgspec import Raw, Struct

from aiclient2api.ir.parts import TokenLogprob
from aiclient2api.wire import json


class _Logprob(Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Logprob] | None = None


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
