"""A complete answer for a client."""

from __future__ import annotations

from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import Citation, Text, ToolCall
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Candidate, ModelResponse
from aiclient2api.protocols.cut_calls import INCOMPLETE
from aiclient2api.protocols.gemini.citations import encode_grounding
from aiclient2api.protocols.gemini.embeddings import encode_vectors
from aiclient2api.protocols.gemini.encode_parts import CLIENT_KINDS, PartEncoder, Wire
from aiclient2api.protocols.gemini.ext import kept
from aiclient2api.protocols.gemini.finish import encode_block, encode_finish, without_call
from aiclient2api.protocols.gemini.logprobs import encode_logprobs
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.gemini.usage import encode_count, encode_usage, with_traffic
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireResponse


def encode_response(response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
    """See Converter.encode_response."""
    report = LossReport(NAME)
    if request.operation == "count_tokens":
        return _answer(encode_count(response.usage), report)
    if request.operation == "embed":
        return _answer(encode_vectors(response, request, report), report)
    body: Wire = {}
    if response.candidates:
        body["candidates"] = [
            _encode_candidate(item, response.protocol, report) for item in response.candidates
        ]
    if response.blocked is not None:
        body["promptFeedback"] = encode_block(response.blocked)
    usage = encode_usage(response.usage, report)
    usage = with_traffic(usage, response.tier, report)
    if usage:
        body["usageMetadata"] = usage
    body["modelVersion"] = response.model or request.model
    if response.id:
        body["responseId"] = response.id
    for name, value in kept(response).items():
        body.setdefault(name, value)
    return _answer(body, report)


def _answer(body: Wire, report: LossReport) -> Encoded[WireResponse]:
    wire = WireResponse(status=200, headers=JSON_HEADERS, body=json.encode(body))
    return Encoded(wire, report.losses)


def _encode_candidate(candidate: Candidate, protocol: str, report: LossReport) -> Wire:
    encoder = PartEncoder(report, own=protocol == NAME, kinds=CLIENT_KINDS)
    parts: list[Wire] = []
    cited: list[tuple[int, str, list[Citation]]] = []
    wire: Wire = {"content": {"parts": parts, "role": "model"}}
    is_cut = False
    for number, part in enumerate(candidate.turn.parts):
        path = f"candidates[{candidate.index}].parts[{number}]"
        if isinstance(part, Text):
            cited.append((len(parts), part.text, part.citations))
            if part.logprobs:
                wire["logprobsResult"] = encode_logprobs(part.logprobs)
        if isinstance(part, ToolCall) and part.status == INCOMPLETE:
            report.dropped("tool_call", path, "cut off: only whole calls can be told")
            is_cut = True
            continue
        parts.extend(encoder.encode(part, path, spoken_by_model=True))
    if candidate.finish is not None:
        finish = without_call(candidate.finish) if is_cut else candidate.finish
        wire.update(encode_finish(finish, protocol, report))
    wire["index"] = candidate.index
    grounding = encode_grounding(cited, report)
    if grounding is not None:
        wire.setdefault("groundingMetadata", grounding)
    return wire
