"""`usageMetadata` both ways.

Google counts thoughts beside the candidates and tool use beside the prompt; the IR counts thoughts as output.
"""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.ext import keep, repeated, restore
from aiclient2api.protocols.gemini.fields import elements, fields
from aiclient2api.protocols.gemini.schema import NAME, TRAFFIC, TRAFFIC_OUT
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_MODALITIES = frozenset({"text", "image", "audio", "video", "document"})


def decode_usage(raw: Raw) -> Usage | None:
    """The counts; None where there are none (a first chunk may only name the traffic type)."""
    counts = fields(raw, "usageMetadata")
    prompt = counts.take("promptTokenCount", int)
    candidates = counts.take("candidatesTokenCount", int)
    thoughts = counts.take("thoughtsTokenCount", int)
    if prompt is None and candidates is None and thoughts is None:
        return None
    counts.raw("totalTokenCount")
    tier = tier_of(raw)
    return Usage(
        input=prompt,
        cache_read=counts.take("cachedContentTokenCount", int),
        tool_input=counts.take("toolUsePromptTokenCount", int),
        output=None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0),
        reasoning=thoughts,
        input_modalities=_modalities(counts, "promptTokensDetails"),
        output_modalities=_modalities(counts, "candidatesTokensDetails"),
        ext=repeated((keep(counts) or {}).get(NAME), ("trafficType",) if tier else ()),
    )


def tier_of(usage: Raw | None) -> str | None:
    """The service tier behind the traffic type, where it has a common name."""
    if usage is None:
        return None
    traffic = fields(usage).peek("trafficType")
    return TRAFFIC.get(json.decode(traffic, str)) if traffic is not None and json.is_string(traffic) else None


def _modalities(counts: Members, key: str) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for raw, path in elements(counts, key):
        detail = fields(raw, path)
        modality, count = detail.take("modality", str), detail.take("tokenCount", int)
        if modality is not None and count is not None:
            found[modality.lower()] = count
    return found or None


def encode_usage(usage: Usage | None, report: LossReport) -> Wire | None:
    """The counts that are known; Google leaves zeros out, and so do we where they are optional."""
    if usage is None:
        return None
    if usage.cache_write:
        report.dropped("usage.detail", "usage.cache_write")
    wire: Wire = {}
    if usage.input is not None:
        wire["promptTokenCount"] = usage.input
    if usage.cache_read:
        wire["cachedContentTokenCount"] = usage.cache_read
    if usage.output is not None:
        wire["candidatesTokenCount"] = max(0, usage.output - (usage.reasoning or 0))
    if usage.tool_input:
        wire["toolUsePromptTokenCount"] = usage.tool_input
    if usage.reasoning:
        wire["thoughtsTokenCount"] = usage.reasoning
    if usage.total or wire:
        wire["totalTokenCount"] = usage.total
    for name, modalities in (
        ("promptTokensDetails", usage.input_modalities),
        ("candidatesTokensDetails", usage.output_modalities),
    ):
        known = [
            {"modality": modality.upper(), "tokenCount": count}
            for modality, count in (modalities or {}).items()
            if count and modality in _MODALITIES
        ]
        if known:
            wire[name] = known
    return restore(usage, wire)


def decode_count(body: Members) -> ModelResponse:
    """The answer of `countTokens`."""
    usage = Usage(
        input=body.take("totalTokens", int),
        cache_read=body.take("cachedContentTokenCount", int),
        input_modalities=_modalities(body, "promptTokensDetails"),
    )
    return ModelResponse(protocol=NAME, id="", model="", usage=usage, ext=keep(body))


def encode_count(usage: Usage | None) -> dict[str, object]:
    """The answer of `countTokens` for a client."""
    counts = usage or Usage()
    cached = {"cachedContentTokenCount": counts.cache_read} if counts.cache_read else {}
    return {"totalTokens": counts.input or 0, **cached}


def with_traffic(usage: Wire | None, tier: str | None, report: LossReport) -> Wire | None:
    """The counts with the service tier, which this protocol tells among them."""
    if tier is None or (usage is not None and "trafficType" in usage):
        return usage
    traffic = TRAFFIC_OUT.get(tier)
    report.tier(tier, traffic)
    return usage if traffic is None else {**(usage or {}), "trafficType": traffic}
