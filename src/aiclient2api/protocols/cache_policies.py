"""How much a provider is to cache by itself: OpenAI's `prompt_cache_options`, Claude's `cache_control` of a request."""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_FEATURE: Final = "cache_policy"
_TO_CLAUDE: Final = {"30m": None, "12h": "1h"}
"""OpenAI's lifetimes to the nearest of Claude's (None is five minutes)."""
_OPENAI: Final = ("openai_chat", "openai_responses")
_LONG: Final = {"1h": "12h", "12h": "12h"}


class _Options(Struct):
    """Both forms: Claude's has no mode, its presence is the wish."""

    mode: str = "implicit"
    type: str = "ephemeral"
    ttl: str | None = None


def claude_policy(request: ModelRequest, report: LossReport) -> dict[str, object] | None:
    """`prompt_cache_options` as the `cache_control` of a request; None where nothing is cached unasked."""
    policy = request.cache_policy
    if policy is None:
        return None
    try:
        if request.protocol not in _OPENAI:
            raise MalformedMessage(request.protocol)
        options, members = json.decode(policy, _Options), json.decode(policy, dict[str, Raw])
    except MalformedMessage:
        report.dropped(_FEATURE, _FEATURE)
        return None
    _others(members, {"mode", "ttl"}, report)
    if options.mode not in ("implicit", "explicit"):
        report.dropped(_FEATURE, _FEATURE, options.mode)
    if options.mode != "implicit":
        return None
    wire: dict[str, object] = {"type": "ephemeral"}
    if options.ttl is None:
        return wire
    ttl = _TO_CLAUDE.get(options.ttl)
    report.approximated(_FEATURE, _FEATURE, f"{options.ttl} sent as {ttl or '5m'}")
    return wire if ttl is None else {**wire, "ttl": ttl}


def openai_policy(request: ModelRequest, report: LossReport, *, long: bool) -> dict[str, object] | None:
    """The policy of another protocol's client as `prompt_cache_options`; `long`: the target knows `12h`."""
    policy = request.cache_policy
    if policy is None:
        return None
    try:
        if request.protocol not in (*_OPENAI, "anthropic"):
            raise MalformedMessage(request.protocol)
        members, options = json.decode(policy, dict[str, Raw]), json.decode(policy, _Options)
    except MalformedMessage:
        report.dropped(_FEATURE, _FEATURE)
        return None
    if options.type != "ephemeral":
        report.dropped(_FEATURE, _FEATURE, options.type)
        return None
    asked, mode = options.ttl, options.mode
    _others(members, {"type", "mode", "ttl"}, report)
    ttl = _LONG.get(asked or "", "30m") if long else "30m"
    if asked not in (None, ttl):
        report.approximated(_FEATURE, _FEATURE, f"{asked} sent as {ttl}")
    return {"mode": mode, "ttl": ttl}


def _others(members: dict[str, Raw], known: set[str], report: LossReport) -> None:
    """A pre-warming that is not understood would generate and bill an answer: it has to be named."""
    unknown = [
        name for name, value in members.items() if name not in known and value not in (json.NULL, _FALSE)
    ]
    if unknown:
        report.dropped(_FEATURE, f"{_FEATURE}.{unknown[0]}", ", ".join(unknown))


_FALSE: Final = Raw(b"false")
