"""The Responses protocol's constants, stream event struct and the places where unknown members wait."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from aiclient2api.ir.request import Schema
from aiclient2api.protocols.openapi_schema import to_json_schema
from aiclient2api.protocols.report import LossReport

NAME: Final = "openai_responses"
FAMILY: Final = frozenset(("openai_chat", NAME))
"""Protocols of one vendor: they share file ids, prompt cache options, moderation and service tiers."""

NATIVE_OPAQUE: Final = "openai.encrypted"
CARRIED: Final = frozenset((NATIVE_OPAQUE, "envelope"))
"""What a client's `encrypted_content` may hold."""

TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CALL_ID: Final = re.compile(r".{1,64}", re.DOTALL)

INCLUDE_REASONING: Final = "reasoning.encrypted_content"
INCLUDE_LOGPROBS: Final = "message.output_text.logprobs"

EFFORTS: Final = frozenset(("none", "minimal", "low", "medium", "high", "xhigh", "max"))
SUMMARIES: Final = frozenset(("auto", "concise", "detailed"))
TIERS: Final = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))
DETAILS: Final = frozenset(("low", "high", "auto", "original"))

GENERATE_PATH: Final = "/responses"
COUNT_PATH: Final = "/responses/input_tokens"
MIN_OUTPUT: Final = 16
"""The API refuses a smaller `max_output_tokens`."""

FAMILIES: Final = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "file_search": "file_search",
    "code_interpreter": "code",
    "image_generation": "image_gen",
    "mcp": "mcp",
    "mcp_list_tools": "mcp",
    "computer": "computer",
    "computer_use_preview": "computer",
    "shell": "shell",
    "local_shell": "shell",
    "apply_patch": "patch",
    "tool_search": "tool_search",
    "program": "program",
    "programmatic_tool_calling": "program",
}

CONTROL_ROLES: Final = {
    "item_reference": "assistant",
    "compaction": "assistant",
    "mcp_approval_request": "assistant",
    "mcp_approval_response": "tool",
    "compaction_trigger": "developer",
    "configuration_update": "developer",
    "additional_tools": "developer",
}
"""Items that steer the conversation, and whose turn they belong to."""

CLIENT_EXECUTED: Final = frozenset(("computer_call", "local_shell_call", "apply_patch_call"))
"""Hosted calls that wait for the client's answer, as function calls do."""


class Event(Struct, frozen=True, gc=False):
    """One stream event: every member that the grammar's events have, so that one decoder reads them all."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: object = None
    item: Raw = Raw()
    part: Raw = Raw()
    response: Raw = Raw()
    annotation: Raw = Raw()
    logprobs: Raw = Raw()
    error: Raw = Raw()


decode_event = msgspec.json.Decoder(Event).decode


class Scope(Struct, frozen=True):
    """What encoding a request's nodes needs: where losses go, and whether it is of this protocol."""

    report: LossReport
    own: bool


def schema_text(schema: Schema) -> Raw:
    """A schema as OpenAI reads it: JSON Schema, byte for byte where it is that already."""
    return schema.raw if schema.dialect == "json_schema" else to_json_schema(schema.raw)
