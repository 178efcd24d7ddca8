"""A change of effort inside a conversation: an item of Responses, a `system` message of Claude. Others have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Control
from aiclient2api.ir.request import Turn
from aiclient2api.protocols.ext import unheard
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

ITEM: Final = "configuration_update"
_ITEM: Final = frozenset(("type", "id", "reasoning"))


class Update(Struct, frozen=True):
    """The effort from here on. `more`: the update says something else too."""

    effort: str
    more: bool = False


def of_item(part: Control) -> Update | None:
    """What a Responses item changes of the effort."""
    if part.kind != ITEM or part.protocol != "openai_responses":
        return None
    try:
        reasoning = Members.parse(part.raw).object("reasoning")
        effort = reasoning.take("effort", str) if reasoning is not None else None
    except MalformedMessage:
        return None
    if reasoning is None or effort is None:
        return None
    others = [unheard(part.raw, _ITEM), reasoning.rest]
    return Update(effort, any(value != json.NULL for found in others for value in found.values()))


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
