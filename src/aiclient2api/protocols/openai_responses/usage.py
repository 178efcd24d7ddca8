"""Token counts, both ways."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from aiclient2api.ir.response import Usage
from aiclient2api.protocols.openai_responses.ext import keep, kept
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_TTLS: Final = ("30m", "12h")


def decode_usage(members: Members | None) -> Usage | None:
    """The `usage` object of a response."""
    if members is None:
        return None
    details = members.object("input_tokens_details")
    cached = details.take("cached_tokens", int) if details else None
    written = details.take("cache_write_tokens", int) if details else None
    ttl = _ttl(details.object("cache_write_tokens_details")) if details else None
    output_details = members.object("output_tokens_details")
    reasoning = output_details.take("reasoning_tokens", int) if output_details else None
    members.take("total_tokens", int)  # follows from the others
    usage = Usage(
        input=members.take("input_tokens", int),
        cache_read=cached,
        cache_write=written,
        cache_write_ttl=ttl,
        output=members.take("output_tokens", int),
        reasoning=reasoning,
    )
    rest = (keep(members) or {}).get(NAME, {})
    for name, inner in (("input_tokens_details", details), ("output_tokens_details", output_details)):
        unknown = keep(inner) if inner else None
        if unknown:
            rest = {**rest, name: json.raw(unknown[NAME])}
    return msgspec.structs.replace(usage, ext={NAME: rest}) if rest else usage


def _ttl(members: Members | None) -> dict[str, int] | None:
    if members is None:
        return None
    counts = {ttl: members.take(f"ttl_{ttl}_tokens", int) for ttl in _TTLS}
    return {ttl: count for ttl, count in counts.items() if count is not None}


def encode_usage(usage: Usage) -> dict[str, object]:
    """The `usage` object for a client; the schema requires numbers where nobody counted."""
    ext = kept(usage)
    counted = (usage.input or 0) + (usage.tool_input or 0)
    return {
        "input_tokens": counted,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read or 0,
            "cache_write_tokens": usage.cache_write or 0,
            **_encode_ttl(usage.cache_write_ttl),
            **_members(ext.pop("input_tokens_details", None)),
        },
        "output_tokens": usage.output or 0,
        "output_tokens_details": {
            "reasoning_tokens": usage.reasoning or 0,
            **_members(ext.pop("output_tokens_details", None)),
        },
        "total_tokens": usage.total,
        **ext,
    }


def _encode_ttl(ttl: dict[str, int] | None) -> dict[str, object]:
    if not ttl or not set(ttl) <= set(_TTLS):
        return {}
    return {"cache_write_tokens_details": {f"ttl_{name}_tokens": ttl.get(name, 0) for name in _TTLS}}


def _members(raw: Raw | None) -> dict[str, Raw]:
    return json.decode(raw, dict[str, Raw]) if raw is not None else {}
