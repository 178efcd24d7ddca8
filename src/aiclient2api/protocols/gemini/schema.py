"""Names, tables and stream structs of the wire format. No logic."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from aiclient2api.ir.request import Effort
from aiclient2api.ir.response import FinishReason

NAME: Final = "gemini"
SIGNATURE: Final = "gemini.signature"
VERSION: Final = "v1beta"
"""Used where no client chose one: it has everything."""

SENTINEL: Final = "skip_thought_signature_validator"
"""Google's documented stand-in for the signature of a call that another model made."""

PATH: Final = re.compile(
    r"/(?P<version>v1|v1beta|v1alpha)/(?P<model>(?:models|tunedModels)/.+):(?P<method>[A-Za-z]+)"
)
TOOL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")

HOSTED_PARTS: Final = {
    "executableCode": ("code", "call"),
    "codeExecutionResult": ("code", "result"),
    "toolCall": ("other", "call"),
    "toolResponse": ("other", "result"),
}
HOSTED_TOOLS: Final = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code",
    "computerUse": "computer",
    "fileSearch": "file_search",
    "mcpServers": "mcp",
    "googleMaps": "maps",
}

FINISH: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "recitation",
    "LANGUAGE": "content_filter",
    "OTHER": "other",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_OTHER": "other",
    "NO_IMAGE": "other",
    "IMAGE_RECITATION": "recitation",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "TOO_MANY_TOOL_CALLS": "pause",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "malformed",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "error",
    "CONTINUATION": "continuation",
    "MODEL_ARMOR": "content_filter",
}
FINISH_OUT: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "context_length": "MAX_TOKENS",
    "tool_use": "STOP",
    "refusal": "SAFETY",
    "content_filter": "SAFETY",
    "recitation": "RECITATION",
    "pause": "STOP",
    "continuation": "CONTINUATION",
    "compaction": "STOP",
    "malformed": "MALFORMED_FUNCTION_CALL",
    "error": "OTHER",
    "cancelled": "OTHER",
    "steered": "STOP",
    "other": "OTHER",
    "unknown": "FINISH_REASON_UNSPECIFIED",
}

LEVELS: Final[dict[str, Effort]] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
LEVEL_OUT: Final[dict[Effort, str]] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
BUDGET_OUT: Final[dict[Effort, int]] = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": -1,
}
EFFORT_LIMITS: Final[tuple[tuple[int, Effort], ...]] = ((1024, "low"), (8192, "medium"), (24576, "high"))
"""Up to how many tokens of thought an effort stands for; beyond the last it is `xhigh`."""

RESOLUTIONS: Final = {
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_HIGH": "high",
    "MEDIA_RESOLUTION_ULTRA_HIGH": "original",
}
RESOLUTION_OUT: Final = {detail: level for level, detail in RESOLUTIONS.items()}

TIERS: Final = {"unspecified": "auto", "standard": "default", "flex": "flex", "priority": "priority"}
TIER_OUT: Final = {
    "auto": None,
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
}
TRAFFIC_OUT: Final = {"default": "ON_DEMAND", "flex": "ON_DEMAND_FLEX", "priority": "ON_DEMAND_PRIORITY"}
TRAFFIC: Final = {"ON_DEMAND": "default", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}


ABSENT: Final = Raw()
"""The default of a raw member: `Raw | None` would take nothing but null. It is false, a member is true."""


class TextPart(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A part that is only text: the usual piece of a stream. Anything more is not decoded by this."""

    text: str
    thought: bool = False
    thought_signature: str | None = None


class ContentChunk(Struct, rename="camel"):
    """A piece of a candidate's content."""

    parts: list[Raw] | None = None


class CandidateChunk(Struct, rename="camel"):
    """A candidate, whole or a piece of a stream."""

    index: int | None = None
    content: ContentChunk | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: Raw = ABSENT
    logprobs_result: Raw = ABSENT
    citation_metadata: Raw = ABSENT
    safety_ratings: Raw = ABSENT
    url_context_metadata: Raw = ABSENT
    avg_logprobs: Raw = ABSENT
    token_count: Raw = ABSENT
    continuation_token: Raw = ABSENT


class Chunk(Struct, rename="camel"):
    """A GenerateContentResponse, whole or a piece of a stream."""

    candidates: list[CandidateChunk] | None = None
    prompt_feedback: Raw = ABSENT
    usage_metadata: Raw = ABSENT
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    model_status: Raw = ABSENT
    error: Raw = ABSENT


text_part = msgspec.json.Decoder(TextPart)
