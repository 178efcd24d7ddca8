"""Signed thoughts: what a provider hands out with its reasoning and recognises when it comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from enum import Enum

_MAC_BYTES = 24


class Verdict(Enum):
    """What became of a thought that came back."""

    KEPT = "kept"
    OTHER_MODEL = "other model"
    ALTERED = "altered"


class Signer:
    """Signs for one provider and one account; standard base64, as all three providers use."""

    def __init__(self, secret: str, provider: str) -> None:
        self._key = f"{provider}\0{secret}".encode()

    def sign(self, model: str, thought: str) -> str:
        """The signature of a thought; it names its model, so that another model can tell it is not its own."""
        name = plain_model(model).encode()
        return base64.b64encode(self._mac(name, thought) + name).decode()

    def verify(self, model: str, thought: str, signature: str) -> Verdict:
        """Whether this signature was given for this thought."""
        try:
            data = base64.b64decode(
                signature, altchars=b"-_" if set("-_") & set(signature) else None, validate=True
            )
        except (binascii.Error, ValueError):
            return Verdict.ALTERED
        mac, name = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(name, thought)):
            return Verdict.ALTERED
        return Verdict.KEPT if name == plain_model(model).encode() else Verdict.OTHER_MODEL

    def _mac(self, name: bytes, thought: str) -> bytes:
        return hmac.new(self._key, name + b"\0" + thought.encode(), hashlib.sha256).digest()[:_MAC_BYTES]


def plain_model(model: str) -> str:
    """The model's name without the simulator's prefix."""
    return model.removeprefix("models/").removeprefix("simulator/")


def shown_model(model: str) -> str:
    """The model's name as answers show it."""
    return "simulator/" + plain_model(model)
