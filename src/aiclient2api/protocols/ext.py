"""Members that the IR has no field for: kept as they came, under their protocol's name, and written back.

What is unknown inside a nested object that a decoder takes apart (`function`, `image_url`) is kept as a member
of that object's name, so that `restore` finds its place again.
"""

from __future__ import annotations

from typing import Protocol, cast

from msgspec import Raw

from aiclient2api.ir.parts import Ext
from aiclient2api.protocols.report import ECHO_SUFFIX
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


def unheard(data: bytes | Raw, known: frozenset[str]) -> dict[str, Raw]:
    """Members of an object that its typed decoder passes over. For the rare events of a stream: it parses again."""
    members = json.as_object(data)
    if members is None or members.keys() <= known:
        return {}
    return {name: value for name, value in members.items() if name not in known and value != json.NULL}


class HasExt(Protocol):
    """A node or an event."""

    @property
    def ext(self) -> Ext | None:
        """Members without a field, by protocol."""
        ...


class OwnExt:
    """One protocol's part of `ext`."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._echo = f"{protocol}{ECHO_SUFFIX}"

    def keep(self, members: Members, **nested: Members | Raw | None) -> Ext | None:
        """What nobody took of `members`, and of the nested objects taken from it; a Raw one is kept whole."""
        rest = members.rest
        for name, inner in nested.items():
            if isinstance(inner, Members):
                if inner.rest:
                    rest[name] = json.raw(inner.rest)
            elif inner is not None:
                rest[name] = inner
        return {self._protocol: rest} if rest else None

    def kept(self, node: HasExt) -> dict[str, Raw]:
        """What `keep` put away, and what only repeats the client's request."""
        if not node.ext:
            return {}
        return {**node.ext.get(self._protocol, {}), **node.ext.get(self._echo, {})}

    def restore(self, node: HasExt, wire: dict[str, object]) -> dict[str, object]:
        """`wire` with the node's kept members put back; what was built wins, nested objects are joined."""
        if not node.ext:
            return wire
        for name, raw in self.kept(node).items():
            built = wire.get(name)
            if isinstance(built, dict) and json.is_object(bytes(raw)):
                wire[name] = cast(dict[str, object], built) | json.decode(raw, dict[str, Raw])
            else:
                wire.setdefault(name, raw)
        return wire
