"""Token counts. The provider's `input_tokens` excludes what the cache read and wrote; ours includes it."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.anthropic.ext import keep, kept
from aiclient2api.protocols.anthropic.schema import ANSWER_TIERS, ANSWER_TIERS_BACK
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members


def decode_usage(members: Members) -> tuple[Usage, str | None]:
    """The counts and the service tier, which the provider reports beside them."""
    tier = members.take("service_tier", str)
    fresh = members.take("input_tokens", int)
    read = members.take("cache_read_input_tokens", int)
    written = members.take("cache_creation_input_tokens", int)
    creation = members.object("cache_creation")
    details, whole = members.peek("output_tokens_details"), {}
    inner = members.object("output_tokens_details")
    reasoning = inner.take("thinking_tokens", int) if inner else None
    if inner is not None and details is not None and inner.rest:
        whole = {"output_tokens_details": details}
    usage = Usage(
        input=None if fresh is None else fresh + (read or 0) + (written or 0),
        cache_read=read,
        cache_write=written,
        cache_write_ttl=_ttls(creation) if creation else None,
        output=members.take("output_tokens", int),
        reasoning=reasoning,
        ext=keep(members, **whole),
    )
    return usage, None if tier is None else ANSWER_TIERS.get(tier, tier)


def _ttls(creation: Members) -> dict[str, int]:
    """`ephemeral_5m_input_tokens` counts writes that live for `5m`."""
    ttls: dict[str, int] = {}
    for name in tuple(creation.rest):
        ttl = name.removeprefix("ephemeral_").removesuffix("_input_tokens")
        count = creation.take(name, int)
        if count is not None:
            ttls[ttl] = count
    return ttls


def encode_usage(usage: Usage | None, tier: str | None = None) -> dict[str, object]:
    """The counts for a client; unknown ones are 0 because its types require numbers."""
    usage = usage or Usage()
    read, written = usage.cache_read or 0, usage.cache_write or 0
    wire: dict[str, object] = {
        "input_tokens": max(0, (usage.input or 0) + (usage.tool_input or 0) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    }
    if usage.cache_write_ttl is not None:
        wire["cache_creation"] = {
            f"ephemeral_{ttl}_input_tokens": usage.cache_write_ttl.get(ttl, 0)
            for ttl in dict.fromkeys(("5m", "1h", *usage.cache_write_ttl))
        }
    wire["output_tokens"] = usage.output or 0
    if usage.reasoning is not None:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if tier in ANSWER_TIERS_BACK:
        wire["service_tier"] = ANSWER_TIERS_BACK[tier]
    return {**wire, **kept(usage)} if usage.ext else wire


def encode_final_usage(usage: Usage | None) -> dict[str, object]:
    """The counts of `message_delta`, where neither the tier nor the kind of cache write has a place."""
    if usage is None:
        return {"output_tokens": 0}
    wire = encode_usage(usage)
    wire.pop("cache_creation", None)
    return wire


class UsageTally:
    """The counts of a stream: `message_delta` repeats and corrects those of `message_start`."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[str, Raw] = {}

    def add(self, usage: Raw | None) -> None:
        """Take the next `usage` object; a member that is not null replaces the earlier one."""
        if usage is None or not json.is_object(bytes(usage)):
            return
        for name, value in Members.parse(usage, "usage").rest.items():
            if value != NULL or name not in self._members:
                self._members[name] = value

    def total(self) -> tuple[Usage | None, str | None]:
        """The counts so far and the service tier; None when nothing was reported, or nothing that can be read."""
        if not self._members:
            return None, None
        try:
            usage, tier = decode_usage(Members(dict(self._members), "usage"))
        except MalformedMessage:
            return None, None
        return sane_counts(lambda: usage), tier


def usage_of(body: bytes) -> Usage | None:
    """The counts in a complete answer, without decoding the rest of it."""
    usage = Members.parse(body).peek("usage")
    if usage is None or usage == NULL:
        return None
    return decode_usage(Members.parse(usage, "usage"))[0]


def count_answer(usage: Usage | None) -> bytes:
    """The body that answers `count_tokens`."""
    return json.encode({"input_tokens": (usage.input or 0) if usage else 0})
