"""A change of effort inside a conversation: an item of Responses, a `system` message of Claude. Others have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Control
from aiclient2api.ir.request import Turn
from aiclient2api.wire import json

ITEM: Final = "configuration_update"


class Update(Struct, frozen=True):
    """The effort from here on. `more`: the update says something else too."""

    effort: str
    more: bool = False


class _Reasoning(Struct):
    effort: str | None = None


class _Item(Struct):
    reasoning: _Reasoning | None = None


def of_item(part: Control) -> Update | None:
    """What a Responses item changes of the effort."""
    if part.kind != ITEM or part.protocol != "openai_responses":
        return None
    try:
        item, members = json.decode(part.raw, _Item), json.decode(part.raw, dict[str, Raw])
    except MalformedMessage:
        return None
    if item.reasoning is None or item.reasoning.effort is None:
        return None
    others = members.keys() - {"type", "id", "reasoning"}
    return Update(item.reasoning.effort, any(members[name] != json.NULL for name in others))


def of_message(turn: Turn) -> tuple[str | None, Mapping[str, Raw]]:
    """The effort that a Claude `system` message sets, and the rest of its own members."""
    members = turn.ext.get("anthropic", {}) if turn.ext and turn.role == "system" else {}
    config = members.get("output_config")
    if config is None or not json.is_object(bytes(config)):
        return None, members
    inside = json.decode(config, dict[str, Raw])
    effort = inside.get("effort", json.NULL)
    if inside.keys() != {"effort"} or not json.is_string(effort):
        return None, members
    rest = {name: value for name, value in members.items() if name != "output_config"}
    return json.decode(effort, str), rest
