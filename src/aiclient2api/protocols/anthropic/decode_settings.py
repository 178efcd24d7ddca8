"""Settings of a request: sampling, thinking, output."""

from __future__ import annotations

from typing import Literal, cast

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import (
    Effort,
    OutputFormat,
    Sampling,
    Schema,
    Thinking,
)
from aiclient2api.protocols.anthropic.decode_tools import decode_schema
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.schema import (
    THINKING_MODES,
    TIERS,
)
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_DISPLAYS = frozenset({"summarized", "omitted", "updates"})
_JSON_SCHEMA = Raw(b'"json_schema"')
_FAST = Raw(b'"fast"')
_SAMPLING = frozenset({"temperature", "top_p", "top_k", "stop_sequences"})
_UNSAID = Sampling()


def decode_sampling(members: Members) -> Sampling:
    """How tokens are drawn."""
    if _SAMPLING.isdisjoint(members.rest):
        return _UNSAID
    return Sampling(
        temperature=members.take("temperature", float),
        top_p=members.take("top_p", float),
        top_k=members.take("top_k", float),
        stop=members.take("stop_sequences", list[str]),
    )


def decode_thinking(members: Members, effort: Effort | None) -> Thinking | None:
    """How much to think."""
    thinking = members.object("thinking")
    if thinking is None:
        return Thinking(effort=effort) if effort else None
    mode = THINKING_MODES.get(_word(thinking, "type", frozenset(THINKING_MODES)) or "")
    show = _word(thinking, "display", _DISPLAYS)
    decoded = Thinking(
        effort=effort,
        mode=mode,
        budget=thinking.take("budget_tokens", int) if mode == "fixed" else None,
        show=cast('Literal["summarized", "omitted", "updates"] | None', show),
        ext=keep(thinking),
    )
    if decoded.mode == "fixed" and decoded.budget is None:
        raise MalformedMessage("is required", "thinking.budget_tokens")
    return decoded


def _word(members: Members, key: str, known: frozenset[str]) -> str | None:
    """Take a word we know; leave another one where it is."""
    value = members.peek(key)
    if value is None or value == json.NULL or json.decode(value, str, members.at(key)) not in known:
        return None
    return members.take(key, str)


def decode_output(members: Members, left: dict[str, Raw]) -> tuple[Effort | None, OutputFormat | None]:
    """How the answer must look."""
    config = members.object("output_config")
    if config is None:
        return None, None
    effort = cast("Effort | None", _word(config, "effort", _EFFORTS))
    output: OutputFormat | None = None
    whole = config.peek("format")
    if whole is not None and whole != json.NULL:
        form = Members.parse(whole, config.at("format"))
        if form.peek("type") == _JSON_SCHEMA:
            form.raw("type")
            config.raw("format")
            output = OutputFormat(kind="schema", schema=Schema(decode_schema(form, "schema")), ext=keep(form))
    if config.rest or (effort is None and output is None):
        left["output_config"] = json.raw(config.rest)
    return effort, output


def decode_user(members: Members, left: dict[str, Raw]) -> str | None:
    """Who asks."""
    metadata = members.object("metadata")
    if metadata is None:
        return None
    user = metadata.take("user_id", str)
    if metadata.rest or user is None:
        left["metadata"] = json.raw(metadata.rest)
    return user


def decode_tier(members: Members) -> str | None:
    """The service tier."""
    if "service_tier" not in members and members.peek("speed") == _FAST:
        members.raw("speed")
        return "fast"
    tier = members.take("service_tier", str)
    return None if tier is None else TIERS.get(tier, tier)
