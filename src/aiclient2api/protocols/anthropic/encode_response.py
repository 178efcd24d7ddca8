"""A complete answer for a client."""

from __future__ import annotations

from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import (
    Control,
    HostedCall,
    Media,
    Native,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import ModelResponse
from aiclient2api.protocols import ids
from aiclient2api.protocols.anthropic.blocks import (
    Block,
    answer_citation,
    foreign_feature,
    is_redacted,
    native_block,
    slot_data,
    thinking_text,
    tool_id,
    tool_input,
    tool_use,
)
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.finish import encode_finish, note_finish
from aiclient2api.protocols.anthropic.schema import ANSWER_TIERS_BACK, NAME
from aiclient2api.protocols.anthropic.usage import count_answer, encode_usage
from aiclient2api.protocols.cut_calls import INCOMPLETE
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireResponse


def encode_response(response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
    """A message for a client. Raises MalformedMessage when the upstream did not complete its answer."""
    if request.operation == "count_tokens":
        return Encoded(WireResponse(status=200, body=count_answer(response.usage), headers=JSON_HEADERS))
    report = LossReport(NAME)
    candidate = response.candidates[0] if response.candidates else None
    finish = response.blocked or (candidate.finish if candidate else None)
    for other in response.candidates[1:]:
        report.dropped("candidates", f"candidates[{other.index}]")
    note_finish(finish, report)
    parts = candidate.turn.parts if candidate else []
    content: list[Block] = []
    for index, part in enumerate(parts):
        if type(part) is Text and part.text and part == Text(text=part.text):
            content.append({"type": "text", "text": part.text})
            continue
        block = _block(part, f"candidates[0].parts[{index}]", report)
        if block is not None:
            content.append(block)
    if response.tier is not None:
        report.tier(response.tier, ANSWER_TIERS_BACK.get(response.tier))
    wire: dict[str, object] = {
        "id": message_id(response.id),
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": content,
        **encode_finish(finish),
        "usage": encode_usage(response.usage, response.tier),
    }
    if response.ext:
        wire |= kept(response)
    return Encoded(WireResponse(status=200, body=json.encode(wire), headers=JSON_HEADERS), report.losses)


def message_id(upstream_id: str) -> str:
    """The id a client sees: the provider's own, or one derived from another provider's."""
    return upstream_id if upstream_id.startswith("msg_") else ids.minted("msg_", upstream_id)


def _block(part: Part, path: str, report: LossReport) -> Block | None:
    if not isinstance(part, Text | Refusal | ToolCall | Media):
        report.foreign_ext(part, path)  # AnswerReport sees the others, also in streams
    match part:
        case Text():
            return _text(part, path, report)
        case Refusal():
            report.approximated("refusal", path, "told as text")
            return {"type": "text", "text": part.text} if part.text else None
        case Reasoning():
            return _reasoning(part, path, report)
        case ToolCall():
            arguments, exact = tool_input(part)
            if part.status == INCOMPLETE:
                arguments = json.raw({"_raw": part.arguments})
                report.emulated("tool_call.arguments", path, "cut off: sent as _raw")
            elif not exact:
                report.emulated("tool_call.arguments", path, "not an object: sent as _raw")
            report.call_id(part.call_id, tool_id(part), path)
            return {**tool_use(part, arguments), **kept(part)}
        case HostedCall() | Control() | Native() | Media() | ToolResult():
            block = native_block(part)
            if block is None:
                report.dropped(foreign_feature(part), path)
            return block


def _text(part: Text, path: str, report: LossReport) -> Block | None:
    report.phase(part, path)
    if part.logprobs:
        report.dropped("logprobs", path)
    if not part.text:
        return None
    block: dict[str, object] = {"type": "text", "text": part.text}
    if part.citations:
        citations = [answer_citation(citation) for citation in part.citations]
        if None in citations:
            report.dropped("citation", path)
        shown = [citation for citation in citations if citation is not None]
        if shown:
            block["citations"] = shown
    return {**block, **kept(part)} if part.ext else block


def _reasoning(part: Reasoning, path: str, report: LossReport) -> Block | None:
    data = slot_data(part)
    if data is None and part.opaque is not None:
        report.dropped("reasoning.opaque", path, part.opaque.kind)
    if is_redacted(part):
        return {"type": "redacted_thinking", "data": data, **kept(part)}
    text = thinking_text(part)
    if not text and data is None:
        return None
    return {"type": "thinking", "thinking": text, "signature": data or "", **kept(part)}
