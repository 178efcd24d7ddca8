"""Output items as a client gets them: whole ones for an answer, and as the last word of a stream's item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    Control,
    HostedCall,
    Inline,
    Media,
    Native,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from aiclient2api.protocols.ids import minted
from aiclient2api.protocols.openai_responses.citations import encode_citations
from aiclient2api.protocols.openai_responses.encode_tools import Customs
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.logprobs import encode_logprobs
from aiclient2api.protocols.openai_responses.schema import (
    CARRIED,
    NAME,
)
from aiclient2api.protocols.report import MESSAGE_MEMBERS, LossReport, media_feature
from aiclient2api.wire import json

_MARK: Final = "_gw_"


def item_id(prefix: str, response_id: str, output_index: int) -> str:
    """The id of an item whose source has none; it is never sent upstream again."""
    return minted(prefix + _MARK, response_id, str(output_index))


def is_minted(id_: str | None) -> bool:
    """Whether an item's id is one of ours."""
    return id_ is not None and _MARK in id_


def response_id(id_: str) -> str:
    """The id of a response for a client, derived from the upstream's where that looks different."""
    return id_ if id_.startswith("resp_") else minted("resp" + _MARK, id_)


class _FreeText(msgspec.Struct, forbid_unknown_fields=True):
    input: str


_free_text = msgspec.json.Decoder(_FreeText)


def as_custom(call: ToolCall, customs: Customs) -> ToolCall:
    """A free-text tool that was emulated by a function `{"input": text}` is called as what the client declared."""
    if call.kind == "custom" or (call.namespace, call.name) not in customs:
        return call
    try:
        text = _free_text.decode(call.arguments).input
    except msgspec.DecodeError:
        text = call.arguments
    return msgspec.structs.replace(call, kind="custom", arguments=text)


def with_status(call: ToolCall) -> ToolCall:
    """A call whose arguments are no JSON is not told as a completed one, whatever the answer ended with.

    No arguments at all are an empty object: clients parse them as JSON.
    """
    if call.status is not None or call.kind == "custom":
        return call
    if not call.arguments.strip():
        return msgspec.structs.replace(call, arguments="{}")
    try:
        json.decode(call.arguments.encode(), Raw)
    except MalformedMessage:
        return msgspec.structs.replace(call, status="incomplete")
    return call


def is_content(part: Part) -> bool:
    """Whether a part stands inside a message; every other part is an item of its own."""
    return isinstance(part, Text | Refusal) or (isinstance(part, Native) and part.protocol == NAME)


def output_items(parts: Sequence[Part], response: str, customs: Customs, report: LossReport) -> list[object]:
    """The `output` of an answer."""
    items: list[object] = []
    for group in _groups(parts):
        if is_content(group[0]):
            items.append(message_item(group, item_id("msg", response, len(items)), report))
            continue
        item = whole_item(group[0], response, len(items), customs, report)
        if item is not None:
            items.append(item)
    return items


def _groups(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Runs of content of one message, and every other part alone."""
    run: list[Part] = []
    for part in parts:
        if run and (part.new_item or not is_content(part)):
            yield run
            run = []
        if is_content(part):
            run.append(part)
        else:
            yield [part]
    if run:
        yield run


def whole_item(
    part: Part, response: str, output_index: int, customs: Customs, report: LossReport
) -> object | None:
    """The item of a part that is not in a message; None when it has no form here."""
    match part:
        case Reasoning():
            return reasoning_item(part, item_id("rs", response, output_index), report)
        case ToolCall():
            call = as_custom(with_status(part), customs)
            return call_item(
                call, item_id("ctc" if call.kind == "custom" else "fc", response, output_index), report
            )
        case Media():
            return _image_item(part, item_id("ig", response, output_index), report)
        case HostedCall() | Control() if part.protocol == NAME:
            return part.raw
        case HostedCall() | Native():
            report.dropped("tool.hosted", "response", part.wire_type)
            return None
        case _:
            kind = f"control.{part.kind}" if isinstance(part, Control) else "tool.hosted"
            report.dropped(kind, "response")
            return None


def message_item(parts: Sequence[Part], id_: str, report: LossReport) -> dict[str, object]:
    """A message of the assistant."""
    first = parts[0]
    content = [content_part(part, report) for part in parts]
    phase = next((part.phase for part in parts if isinstance(part, Text) and part.phase), None)
    unknown = first.ext.get(NAME, {}).get(MESSAGE_MEMBERS) if first.ext else None
    return {
        "id": first.id or id_,
        "type": "message",
        "status": first.status or "completed",
        "content": content,
        "role": "assistant",
        **json.compact({"phase": phase}),
        **(json.decode(unknown, dict[str, Raw]) if unknown else {}),
    }


def content_part(part: Part, report: LossReport) -> object:
    """A part of a message: text always with annotations and logprobs."""
    if isinstance(part, Native):
        return part.raw
    assert isinstance(part, Text | Refusal), "content is text, a refusal, or native"
    if part.opaque is not None:
        report.dropped("reasoning.opaque", "response", part.opaque.kind)
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text, **kept(part)}
    return {
        "type": "output_text",
        "annotations": encode_citations(part, report, "response"),
        "logprobs": encode_logprobs(part.logprobs or []),
        "text": part.text,
        **kept(part),
    }


def reasoning_item(part: Reasoning, id_: str, report: LossReport) -> dict[str, object]:
    """A thought, with whatever must come back in `encrypted_content`."""
    body: dict[str, object] = {
        "id": part.id or id_,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in part.summary],
    }
    if part.raw:
        body["content"] = [{"type": "reasoning_text", "text": text} for text in part.raw]
    if part.opaque is not None and part.opaque.kind in CARRIED:
        body["encrypted_content"] = part.opaque.data
    elif part.opaque is not None:
        report.dropped("reasoning.opaque", "response", part.opaque.kind)
    return {**body, **json.compact({"status": part.status}), **kept(part)}


def call_item(call: ToolCall, id_: str, report: LossReport) -> dict[str, object]:
    """A call that the client must answer."""
    if call.opaque is not None:
        report.dropped("reasoning.opaque", "response", call.opaque.kind)
    is_custom = call.kind == "custom"
    return {
        "id": call.id or id_,
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": call.status or "completed",
        "input" if is_custom else "arguments": call.arguments,
        "call_id": call.call_id,
        "name": call.name,
        **json.compact({"namespace": call.namespace}),
        **kept(call),
    }


def _image_item(part: Media, id_: str, report: LossReport) -> dict[str, object] | None:
    if part.kind != "image" or not isinstance(part.source, Inline):
        report.dropped(media_feature(part), "response")
        return None
    return {
        "id": part.id or id_,
        "type": "image_generation_call",
        "status": "completed",
        "result": part.source.data,
    }
