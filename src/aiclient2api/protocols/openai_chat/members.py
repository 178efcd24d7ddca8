"""Members without a field in the IR: kept under this protocol's name, in the shape of the wire.

What is unknown inside a nested object that we do take apart (`function`, `image_url`) is kept as a member of
that object's name, so that `merged` finds its place again.
"""

from __future__ import annotations

from typing import cast

from msgspec import Raw

from aiclient2api.ir.parts import Ext, Node
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


def unknown(members: Members, **nested: Members | None) -> Ext | None:
    """What nobody took of `members` and of the nested objects taken from it."""
    rest = members.rest()
    for key, inner in nested.items():
        if inner is not None and inner.rest():
            rest[key] = json.raw(inner.rest())
    return {NAME: rest} if rest else None


def merged(node: Node, known: dict[str, object]) -> dict[str, object]:
    """`known` with the node's unknown members put back."""
    if not node.ext:
        return known
    for key, raw in node.ext.get(NAME, {}).items():
        mine = known.get(key)
        if isinstance(mine, dict):
            known[key] = cast(dict[str, object], mine) | json.decode(raw, dict[str, Raw])
        else:
            known.setdefault(key, raw)
    return known


def absent(members: dict[str, object | None]) -> dict[str, object]:
    """Without the members that are None."""
    return {key: value for key, value in members.items() if value is not None}
