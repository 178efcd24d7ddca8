"""Token counts, both ways (`prompt_tokens` includes cached, `completion_tokens` includes reasoning tokens)."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.openai_chat.ext import keep, restore
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.protocols.report import ECHO_SUFFIX
from aiclient2api.wire.json import NULL, Members

_MODALITIES = ("text", "audio", "image", "video")
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_count = msgspec.json.Decoder(int)


class _Details(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class Counts(Struct, frozen=True):
    """What is booked of `usage`; the rest of it is of use only to another protocol."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    cached_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None


_NO_DETAILS = _Details()


class _InputDetails(Struct, frozen=True, forbid_unknown_fields=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct, frozen=True, forbid_unknown_fields=True):
    reasoning_tokens: int | None = None


class _PlainCounts(Struct, frozen=True, forbid_unknown_fields=True):
    """Counts that every protocol has; those with any other member are refused as invalid."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


_plain = msgspec.json.Decoder(_PlainCounts)


def usage_of(counts: Counts) -> Usage:
    """As `decode_usage`, without modalities and members that have no field."""
    inputs = counts.prompt_tokens_details or _NO_DETAILS
    outputs = counts.completion_tokens_details or _NO_DETAILS
    prompt, completion, reasoning = counts.prompt_tokens, counts.completion_tokens, outputs.reasoning_tokens
    cached = inputs.cached_tokens
    if cached is None:
        cached = counts.prompt_cache_hit_tokens if counts.cached_tokens is None else counts.cached_tokens
    if reasoning:
        completion = _with_thinking(prompt, completion, counts.total_tokens, reasoning)
    return Usage(
        input=prompt,
        cache_read=cached,
        cache_write=inputs.cache_write_tokens,
        output=completion,
        reasoning=reasoning,
    )


def _with_thinking(
    prompt: int | None, completion: int | None, total: int | None, reasoning: int
) -> int | None:
    """XAI does not count thinking as completion."""
    apart = total is not None and total == (prompt or 0) + (completion or 0) + reasoning
    return (completion or 0) + reasoning if apart else completion


def decode_usage(data: Raw, path: str = "usage") -> Usage:
    """The counts of an answer."""
    try:
        return _of_plain(_plain.decode(data))
    except _FAULTS:
        pass  # there is more, or something is wrong
    members = Members.parse(data, path)
    prompt, completion = members.take("prompt_tokens", int), members.take("completion_tokens", int)
    total = members.take("total_tokens", int)
    inputs, outputs = members.object("prompt_tokens_details"), members.object("completion_tokens_details")
    cached = inputs.take("cached_tokens", int) if inputs is not None else None
    reasoning = outputs.take("reasoning_tokens", int) if outputs is not None else None
    if cached is None:
        # Moonshot and DeepSeek have their own places for it; the member itself stays in ext
        cached = _peeked(members, "cached_tokens", "prompt_cache_hit_tokens")
    if reasoning:
        completion = _with_thinking(prompt, completion, total, reasoning)
    return Usage(
        input=prompt,
        cache_read=cached,
        cache_write=inputs.take("cache_write_tokens", int) if inputs is not None else None,
        output=completion,
        reasoning=reasoning,
        input_modalities=_modalities(inputs) if inputs is not None else None,
        output_modalities=_modalities(outputs) if outputs is not None else None,
        ext=keep(members, prompt_tokens_details=inputs, completion_tokens_details=outputs),
    )


def _of_plain(counts: _PlainCounts) -> Usage:
    inputs, outputs = counts.prompt_tokens_details, counts.completion_tokens_details
    completion = counts.completion_tokens
    reasoning = None if outputs is None else outputs.reasoning_tokens
    if reasoning:
        completion = _with_thinking(counts.prompt_tokens, completion, counts.total_tokens, reasoning)
    if inputs is None:
        return Usage(input=counts.prompt_tokens, output=completion, reasoning=reasoning)
    return Usage(
        input=counts.prompt_tokens,
        cache_read=inputs.cached_tokens,
        cache_write=inputs.cache_write_tokens,
        output=completion,
        reasoning=reasoning,
    )


def encode_usage(usage: Usage) -> dict[str, object]:
    """The counts for a client; a detail that nobody reported is left out."""
    prompt = (usage.input or 0) + (usage.tool_input or 0)
    output = usage.output or 0
    inputs = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write}
    return restore(
        usage,
        {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": _details(inputs, usage.input_modalities),
            "completion_tokens_details": _details(
                {"reasoning_tokens": usage.reasoning}, usage.output_modalities
            ),
        },
    )


def has_foreign_detail(usage: Usage) -> bool:
    """Whether counts stay behind that this protocol has no member for."""
    return any((usage.cache_write_ttl or {}).values()) or any(
        protocol != NAME and not protocol.endswith(ECHO_SUFFIX) for protocol in usage.ext or ()
    )


def _details(known: dict[str, int | None], modalities: dict[str, int] | None) -> dict[str, object]:
    details: dict[str, object] = {key: value for key, value in known.items() if value is not None}
    return details | {f"{name}_tokens": count for name, count in (modalities or {}).items()}


def _modalities(details: Members) -> dict[str, int] | None:
    counts = {name: details.take(f"{name}_tokens", int) for name in _MODALITIES}
    return {name: count for name, count in counts.items() if count is not None} or None


def _peeked(members: Members, *keys: str) -> int | None:
    rest = members.rest
    for key in keys:
        raw = rest.get(key)
        if raw is not None and raw != NULL:
            try:
                return _count.decode(raw)
            except msgspec.MsgspecError:
                raise MalformedMessage("expected `int`", members.at(key)) from None
    return None
