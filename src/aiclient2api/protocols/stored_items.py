"""Items whose content only their provider has or reads: references to stored ones, and compacted histories."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.errors import ErrorInfo, MalformedMessage, Unrepresentable
from aiclient2api.ir.parts import Control
from aiclient2api.wire import json

NOT_FOUND = "previous_response_not_found"
"""OpenAI's own code, which tells clients to send the whole history instead."""


class _Reference(Struct):
    id: str = ""


class _Compaction(Struct):
    content: str | None = None


def told_compaction(part: Control) -> str | None:
    """The summary that stands for an earlier conversation, where it can be read (Claude's)."""
    if part.kind != "compaction":
        return None
    try:
        return json.decode(part.raw, _Compaction).content or None
    except MalformedMessage:
        return None


def refuse_unreadable(part: Control, path: str) -> None:
    """Raises Unrepresentable for a reference and for a sealed history: what they say cannot be known here."""
    if part.kind == "compaction":
        raise Unrepresentable(f"only {part.protocol} can read this compaction of the conversation", path)
    if part.kind != "item_reference":
        return
    item = json.decode(part.raw, _Reference).id
    message = (
        f"Item with id '{item}' not found: this model's provider stores no items. Send the whole history."
    )
    raise Unrepresentable(message, path, info=ErrorInfo(kind="invalid", code=NOT_FOUND, message=message))
