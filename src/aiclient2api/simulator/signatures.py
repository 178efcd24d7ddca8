"""Signed thoughts: what a provider hands out with its reasoning and recognises when it comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import cast

from aiclient2api.simulator.jsontext import canonical

_MAC_BYTES = 24
_PREFIX_BYTES = 8
_CACHE_MARKS = ("cache_control", "prompt_cache_breakpoint")


class Verdict(Enum):
    """What became of a thought that came back."""

    KEPT = "kept"
    OTHER_MODEL = "other model"
    OTHER_CONVERSATION = "other conversation"
    ALTERED = "altered"


class Signer:
    """Signs for one provider and one account; standard base64, as all three providers use."""

    def __init__(self, secret: str, provider: str) -> None:
        self._key = f"{provider}\0{secret}".encode()

    def sign(self, model: str, thought: str, prefix: str = "") -> str:
        """The signature of a thought. It names its model, so that another model can tell it is not its own, and
        what was said before it (`prefix`, see `prefix_of`), so that it is worth nothing in another conversation.
        """
        bound = _bound(prefix) + plain_model(model).encode()
        return base64.b64encode(self._mac(bound, thought) + bound).decode()

    def verify(self, model: str, thought: str, signature: str, prefix: str = "") -> Verdict:
        """Whether this signature was given for this thought, here."""
        try:
            data = base64.b64decode(
                signature, altchars=b"-_" if set("-_") & set(signature) else None, validate=True
            )
        except (binascii.Error, ValueError):
            return Verdict.ALTERED
        mac, bound = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(bound, thought)):
            return Verdict.ALTERED
        if bound[_PREFIX_BYTES:] != plain_model(model).encode():
            return Verdict.OTHER_MODEL
        return Verdict.KEPT if bound[:_PREFIX_BYTES] == _bound(prefix) else Verdict.OTHER_CONVERSATION

    def _mac(self, bound: bytes, thought: str) -> bytes:
        return hmac.new(self._key, bound + b"\0" + thought.encode(), hashlib.sha256).digest()[:_MAC_BYTES]


def _bound(prefix: str) -> bytes:
    return hashlib.sha256(prefix.encode()).digest()[:_PREFIX_BYTES]


def prefix_of(tree: Mapping[str, object], fixed: Sequence[str], said: Sequence[object]) -> str:
    """Everything a thought is bound to: the `fixed` members of the request and what was `said` before it.

    Cache marks are no part of a conversation (Anthropic's documentation of thinking blocks says so).
    """
    kept = {name: _unmarked(tree[name]) for name in fixed if tree.get(name) is not None}
    return hashlib.sha256(canonical([kept, [_unmarked(one) for one in said]])).hexdigest()


def _unmarked(tree: object) -> object:
    if isinstance(tree, dict):
        members = cast("dict[str, object]", tree)
        return {name: _unmarked(value) for name, value in members.items() if name not in _CACHE_MARKS}
    if isinstance(tree, list):
        return [_unmarked(one) for one in cast("list[object]", tree)]
    return tree


def plain_model(model: str) -> str:
    """The model's name without the simulator's prefix."""
    return model.removeprefix("models/").removeprefix("simulator/")


def shown_model(model: str) -> str:
    """The model's name as answers show it."""
    return "simulator/" + plain_model(model)
