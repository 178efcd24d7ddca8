"""This protocol's own members that the IR has no field for."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Ext
from aiclient2api.protocols.ext import HasExt, OwnExt
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.protocols.report import MESSAGE_MEMBERS
from aiclient2api.wire.json import NULL, Members

_OWN: Final = OwnExt(NAME)


def keep(members: Members, **nested: Members | None) -> Ext | None:
    """See OwnExt.keep; a null member is an absent one (normal form)."""
    for name in [name for name, raw in members.rest.items() if raw == NULL]:
        members.raw(name)
    return _OWN.keep(members, **nested)


def kept(node: HasExt) -> dict[str, Raw]:
    """See OwnExt.kept; without the members of a part's message item, which stand elsewhere."""
    return {name: raw for name, raw in _OWN.kept(node).items() if name != MESSAGE_MEMBERS}
