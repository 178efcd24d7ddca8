"""Members that the IR has no field for: kept under this protocol's name, written back over what was built."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.parts import Ext, Node
from aiclient2api.protocols.anthropic.schema import NAME
from aiclient2api.wire.json import Members


def keep(members: Members, **whole: Raw) -> Ext | None:
    """What nobody took, and the members in `whole` as they were (they have unknown members inside)."""
    left = members.rest()
    if whole:
        left = {**left, **whole}
    return {NAME: left} if left else None


def kept(node: Node) -> dict[str, Raw]:
    """What `keep` put away."""
    return node.ext.get(NAME, {}) if node.ext else {}
