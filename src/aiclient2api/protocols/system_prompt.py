"""The operator's own system text, added to a request of any protocol."""

from __future__ import annotations

import msgspec

from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.base import SystemPrompt


def apply_system_prompt(request: ModelRequest, system: SystemPrompt | None) -> ModelRequest:
    """`append` puts the text behind the leading system turns, `replace` in their place.

    Always at the same position for the same conversation, so that upstream prompt caches keep hitting.
    """
    if system is None:
        return request
    turns = request.turns
    leading = 0
    while leading < len(turns) and turns[leading].role in ("system", "developer"):
        leading += 1
    own = Turn(role="system", parts=[Text(text=system.text)])
    if system.mode == "replace":
        return msgspec.structs.replace(request, turns=[own, *turns[leading:]], hoisted=1)
    hoisted = request.hoisted + 1 if request.hoisted == leading else request.hoisted
    return msgspec.structs.replace(request, turns=[*turns[:leading], own, *turns[leading:]], hoisted=hoisted)
