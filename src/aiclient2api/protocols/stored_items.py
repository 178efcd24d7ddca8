"""References to items that only the provider has which stored them."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.errors import ErrorInfo, Unrepresentable
from aiclient2api.ir.parts import Control
from aiclient2api.wire import json

NOT_FOUND = "previous_response_not_found"
"""OpenAI's own code, which tells clients to send the whole history instead."""


class _Reference(Struct):
    id: str = ""


def refuse_reference(part: Control, path: str) -> None:
    """Raises Unrepresentable for a reference to an item: what it says cannot be known here."""
    if part.kind != "item_reference":
        return
    item = json.decode(part.raw, _Reference).id
    message = (
        f"Item with id '{item}' not found: this model's provider stores no items. Send the whole history."
    )
    raise Unrepresentable(message, path, info=ErrorInfo(kind="invalid", code=NOT_FOUND, message=message))
