"""The IR to a request for a Messages upstream."""

from __future__ import annotations

from typing import cast

from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import Media, PartsSource, Shape, ToolResult
from aiclient2api.ir.request import CustomTool, HostedTool, ModelRequest
from aiclient2api.protocols.anthropic.encode_parts import PartWriter
from aiclient2api.protocols.anthropic.encode_settings import (
    SamplingWriter,
    ThinkingWriter,
    max_tokens,
    native_sampling,
    native_thinking,
    output_format,
)
from aiclient2api.protocols.anthropic.encode_tools import encode_tool_choice, encode_tools, is_forced
from aiclient2api.protocols.anthropic.encode_turns import encode_turns
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.schema import (
    BINDING_BETA,
    DROP_UNBOUND,
    EXPLICIT_STREAM,
    MAX_CACHE_MARKS,
    NAME,
    TIERS_BACK,
)
from aiclient2api.protocols.cache_policies import claude_policy
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import Members

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"

Wire = dict[str, object]


def encode_request(request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
    """The upstream's request and what it could not take. Raises Unrepresentable."""
    report = LossReport(NAME)
    native = request.protocol == NAME
    counts = request.operation == "count_tokens"
    _refuse(request)
    writer = PartWriter(report, native=native, surplus=0 if native else _surplus_marks(request))
    wire: Wire = {"model": request.model}
    if not counts or (native and request.max_output is not None):
        wire["max_tokens"] = max_tokens(request, profile, report)
    tools = encode_tools(request.tools, writer)
    system, messages = encode_turns(request, profile, writer)
    if system is not None:
        wire["system"] = system
    wire["messages"] = messages
    if tools or (native and request.shape & Shape.EMPTY_LIST):
        wire["tools"] = tools
    choice = encode_tool_choice(request, profile, writer) if tools or native else None
    if not (tools or native):
        report.idle_choice(request.tool_choice)
    if choice is not None:
        wire["tool_choice"] = choice
    if native:
        _add_native(wire, request, report)
    else:
        _add_settings(wire, request, profile, report, forced=is_forced(choice))
        _unbind_thoughts(wire, request, profile, writer)
        if counts:
            for name in (
                "metadata",
                "service_tier",
                "speed",
                "stop_sequences",
                "temperature",
                "top_p",
                "top_k",
            ):
                wire.pop(name, None)
    if request.stream != "no" and not counts:
        wire["stream"] = True
    report.foreign_ext(request, "request")
    headers = (("content-type", "application/json"), ("anthropic-version", profile.anthropic_version))
    if writer.betas:
        headers = (*headers, ("anthropic-beta", ",".join(sorted(writer.betas))))
    path = COUNT_TOKENS if counts else MESSAGES
    return Encoded(WireRequest(path=path, body=json.encode(wire), headers=headers), report.losses)


def _refuse(request: ModelRequest) -> None:
    """Content and modes that Messages has no form for."""
    if request.operation not in ("generate", "count_tokens"):
        raise Unrepresentable(f"Messages has no operation {request.operation}")
    candidates = request.sampling.candidates
    if candidates is not None and candidates > 1:
        raise Unrepresentable("only 1 is supported by this route", "sampling.candidates")


def _surplus_marks(request: ModelRequest) -> int:
    """How many cache breakpoints are too many; they are met in the order tools, system, messages."""
    count = sum(
        not isinstance(tool, CustomTool | HostedTool) and tool.cache is not None for tool in request.tools
    )
    for turn in request.turns:
        for part in turn.parts:
            count += part.cache is not None
            if isinstance(part, ToolResult):
                count += sum(inner.cache is not None for inner in part.parts)
            elif isinstance(part, Media) and isinstance(part.source, PartsSource):
                count += sum(inner.cache is not None for inner in part.source.parts)
    # a policy of its own takes a place among them
    return max(0, count - MAX_CACHE_MARKS + (request.cache_policy is not None))


def _add_native(wire: Wire, request: ModelRequest, report: LossReport) -> None:
    """The settings as the client wrote them."""
    left = dict(kept(request))
    thinking, effort = native_thinking(request.thinking)
    if thinking:
        wire["thinking"] = thinking
    config = _merged(
        left, "output_config", effort=effort, format=output_format(request.output, report, native=True)
    )
    if config is not None:
        wire["output_config"] = config
    wire.update(native_sampling(request.sampling))
    metadata = _merged(left, "metadata", user_id=request.user)
    if metadata is not None:
        wire["metadata"] = metadata
    if request.tier == "fast":
        wire["speed"] = "fast"
    elif request.tier is not None:
        wire["service_tier"] = TIERS_BACK.get(request.tier, request.tier)
    if request.cache_policy is not None:
        wire["cache_control"] = request.cache_policy
    if request.shape & EXPLICIT_STREAM and request.stream == "no":
        wire["stream"] = False
    wire.update(left)


def _merged(left: dict[str, Raw], name: str, **known: object) -> Wire | None:
    """An object of which the IR has a part and `ext` the rest; None when it was not there at all."""
    rest = left.pop(name, None)
    wire: Wire = {key: value for key, value in known.items() if value is not None}
    if rest is None:
        return wire or None
    return {**wire, **Members.parse(rest, name).rest}


def _add_settings(
    wire: Wire, request: ModelRequest, profile: ModelProfile, report: LossReport, *, forced: bool
) -> None:
    """A foreign client's settings, fitted to the model."""
    limit = wire.get("max_tokens")
    writer = ThinkingWriter(profile, report, limit if isinstance(limit, int) else None)
    thinking, effort = writer.write(request.thinking, forced=forced)
    if thinking:
        wire["thinking"] = thinking
    shape = output_format(request.output, report, native=False)
    config = {key: value for key, value in (("effort", effort), ("format", shape)) if value is not None}
    if config:
        wire["output_config"] = config
    thinks = thinking.get("type") in ("adaptive", "enabled")
    wire.update(SamplingWriter(profile, report, thinks=thinks).write(request.sampling))
    policy = claude_policy(request, report)
    if policy is not None:
        wire["cache_control"] = policy
    if request.user is not None:
        wire["metadata"] = {"user_id": request.user}
    _add_tier(wire, request.tier, report)
    _report_unknown(request, report)


def _unbind_thoughts(wire: Wire, request: ModelRequest, profile: ModelProfile, writer: PartWriter) -> None:
    """A foreign client may have shortened or edited its history, and cannot know the error that this would be."""
    thinking = wire.get("thinking", {} if profile.thinking_off else {"type": "adaptive"})
    if not profile.bound_thoughts or not isinstance(thinking, dict) or not _has_own_thoughts(request):
        return
    if cast(Wire, thinking).get("type") in ("adaptive", "enabled"):
        wire["thinking"] = {**cast(Wire, thinking), "block_binding": DROP_UNBOUND}
        writer.betas.add(BINDING_BETA)


def _has_own_thoughts(request: ModelRequest) -> bool:
    return any(
        part.opaque is not None and part.opaque.kind in ("anthropic.signature", "anthropic.redacted")
        for turn in request.turns
        for part in turn.parts
    )


def _add_tier(wire: Wire, tier: str | None, report: LossReport) -> None:
    match tier:
        case None:
            return
        case "fast" | "ultrafast":
            wire["speed"] = "fast"
        case _ if tier in TIERS_BACK:
            wire["service_tier"] = TIERS_BACK[tier]
        case _:
            report.dropped("tier", "tier", tier)
    if tier in ("ultrafast", "priority"):
        report.approximated("tier", "tier", tier)


def _report_unknown(request: ModelRequest, report: LossReport) -> None:
    """Settings without a place here."""
    absent = {
        "verbosity": request.verbosity,
        "metadata": request.metadata,
        "cache_key": request.cache_key,
        "safety": request.safety,
    }
    for name, value in absent.items():
        if value:
            report.dropped(name, name)
    if request.modalities and set(request.modalities) != {"text"}:
        report.dropped("modalities", "modalities", ", ".join(request.modalities))
    report.state(request.state)
