"""The losses that a strict request is refused for, with the places of the caller's own body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.source_path import offence_of

_INSIDE: Final = re.compile(r"turns\[")


def told_losses(inbound: Inbound, losses: Sequence[Loss], *, is_shifted: bool) -> list[str]:
    """A line for each loss. `is_shifted`: turns of our own stand before the client's, so that theirs are not numbered
    as in its body: these go without a place.
    """
    return sorted({_line(inbound, loss, is_shifted=is_shifted) for loss in losses})


def _line(inbound: Inbound, loss: Loss, *, is_shifted: bool) -> str:
    path = _place(inbound, loss.path, is_shifted=is_shifted)
    return f"{loss.feature} {loss.act} at {path}" if path else f"{loss.feature} {loss.act}"


def _place(inbound: Inbound, path: str, *, is_shifted: bool) -> str:
    if not _INSIDE.match(path):
        return path
    if is_shifted:
        return ""
    asked = inbound.request()
    try:
        return inbound.converter.source_path(inbound.wire, offence_of(path, asked, asked))
    except MalformedMessage:
        return ""
