"""Token log-probabilities, both ways."""

from __future__ import annotations

from msgspec import Raw, Struct

from aiclient2api.ir.parts import TokenLogprob
from aiclient2api.wire import json


class _Token(Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Token] | None = None


class _Logprobs(Struct, frozen=True):
    content: list[_Token] | None = None
    refusal: Raw = json.NULL


def decode_logprobs(raw: Raw, path: str) -> list[TokenLogprob]:
    """The tokens of a choice's `logprobs`."""
    return [_decode(token) for token in json.decode(raw, _Logprobs, path).content or ()]


def refusal_logprobs(raw: Raw, path: str) -> Raw | None:
    """Those of a refusal, which no other protocol has a place for."""
    found = json.decode(raw, _Logprobs, path).refusal
    return found if json.is_array(found) and bytes(found) != b"[]" else None


def encode_logprobs(tokens: list[TokenLogprob]) -> bytes:
    """A choice's `logprobs`."""
    return json.encode({"content": [_encode(token) for token in tokens], "refusal": None})


def _decode(token: _Token) -> TokenLogprob:
    top = [_decode(alternative) for alternative in token.top_logprobs or ()]
    return TokenLogprob(token=token.token, logprob=token.logprob, bytes=token.bytes, top=top)


def _encode(token: TokenLogprob) -> dict[str, object]:
    return _alternative(token) | {"top_logprobs": [_alternative(other) for other in token.top]}


def _alternative(token: TokenLogprob) -> dict[str, object]:
    return {"token": token.token, "logprob": token.logprob, "bytes": token.bytes}
