"""Members of a request that both OpenAI protocols have and nobody else: they go across as they are."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Ext
from aiclient2api.ir.request import ModelRequest
from aiclient2api.wire.json import NULL

_SHARED: Final = ("user", "prompt_cache_retention")
_FAMILY: Final = ("openai_chat", "openai_responses")


def across(request: ModelRequest, target: str) -> tuple[dict[str, Raw], Ext]:
    """What the other OpenAI protocol's request says in members that `target` has too, and what else it says."""
    shared: dict[str, Raw] = {}
    others: Ext = {}
    for protocol, members in (request.ext or {}).items():
        if protocol not in _FAMILY or protocol == target:
            others[protocol] = members
            continue
        shared = {name: members[name] for name in _SHARED if members.get(name, NULL) != NULL}
        others[protocol] = {name: value for name, value in members.items() if name not in shared}
    return shared, others
