"""This protocol's own members that the IR has no field for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Ext
from aiclient2api.protocols.ext import OwnExt
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.report import ECHO_SUFFIX

_OWN: Final = OwnExt(NAME)

keep: Final = _OWN.keep
kept: Final = _OWN.kept
restore: Final = _OWN.restore


def repeated(members: dict[str, Raw] | None, names: Collection[str]) -> Ext | None:
    """Kept members, those of `names` as what the IR has in a field too: other protocols lose nothing with them."""
    own = {name: value for name, value in (members or {}).items() if name not in names}
    echo = {name: value for name, value in (members or {}).items() if name in names}
    ext = {key: found for key, found in ((NAME, own), (f"{NAME}{ECHO_SUFFIX}", echo)) if found}
    return ext or None
