"""What a conversion could not carry over as it was."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from msgspec import Struct

from aiclient2api.ir.parts import Protocol

Wire = TypeVar("Wire")

Act = Literal["dropped", "approximated", "emulated", "carried", "side_table", "defaulted"]


class Loss(Struct, frozen=True, omit_defaults=True):
    """One entry of the loss report: `feature` is the name users see, `path` where it was in the request."""

    feature: str
    path: str
    act: Act
    target: Protocol = ""
    note: str | None = None


class Encoded(Struct, Generic[Wire], frozen=True):
    """An encoder's result and what got lost on the way."""

    wire: Wire
    losses: list[Loss] = []
