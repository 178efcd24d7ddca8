"""This protocol's own members that the IR has no field for."""

from __future__ import annotations

from typing import Final

from aiclient2api.protocols.anthropic.schema import NAME
from aiclient2api.protocols.ext import OwnExt

_OWN: Final = OwnExt(NAME)

keep: Final = _OWN.keep
kept: Final = _OWN.kept
restore: Final = _OWN.restore
