"""A complete answer for a client."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import (
    Citation,
    Control,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Shape,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.ir.request import CustomTool, ModelRequest
from aiclient2api.ir.response import Candidate, Finish, FinishReason, ModelResponse
from aiclient2api.protocols import data_url, ids
from aiclient2api.protocols.cut_calls import INCOMPLETE
from aiclient2api.protocols.openai_chat import extra_content
from aiclient2api.protocols.openai_chat.embeddings import encode_vectors
from aiclient2api.protocols.openai_chat.encode_parts import Wire
from aiclient2api.protocols.openai_chat.ext import restore
from aiclient2api.protocols.openai_chat.logprobs import encode_logprobs
from aiclient2api.protocols.openai_chat.reasoning import SECTION_BREAK, encode_details, shown_text
from aiclient2api.protocols.openai_chat.schema import BROKEN, FINISH_FROM_IR, FINISH_TO_IR, NAME, TIERS
from aiclient2api.protocols.openai_chat.usage import encode_usage, has_foreign_detail
from aiclient2api.protocols.openai_errors import encode_openai_error
from aiclient2api.protocols.report import LossReport, media_feature
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireResponse

_ID_PREFIX = "chatcmpl-"


def encode_response(response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
    """Encode a chat completion, or an error where the upstream's end was one."""
    report = LossReport(NAME)
    if request.operation == "embed":
        vectors = json.encode(encode_vectors(response, request, report))
        return Encoded(WireResponse(status=200, body=vectors, headers=JSON_HEADERS), report.losses)
    candidates = response.candidates
    broken = next(
        (finish for each in candidates if (finish := each.finish) and finish.reason in BROKEN), None
    )
    if broken is not None:
        return Encoded(encode_openai_error(broken_answer(broken)), report.losses)
    client = ClientView(request)
    choices = [_choice(candidate, client, report) for candidate in candidates]
    if not choices:
        choices = [_blocked()]
        report.finish_details(response.blocked or Finish(reason="stop"), "candidates[0]")
    body: Wire = {
        "id": completion_id(response.id),
        "object": "chat.completion",
        "created": int(response.created or 0),
        "model": response.model,
        "choices": choices,
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
        if has_foreign_detail(response.usage):
            report.dropped("usage.detail", "usage")
    if response.tier in TIERS:
        body["service_tier"] = response.tier
    elif response.tier is not None:
        report.dropped("tier", "tier", response.tier)
    wire = WireResponse(status=200, body=json.encode(restore(response, body)), headers=JSON_HEADERS)
    return Encoded(wire, report.losses)


class ClientView:
    """What the client's request says about how it reads calls."""

    __slots__ = ("custom", "legacy")

    def __init__(self, request: ModelRequest) -> None:
        self.custom = frozenset(tool.name for tool in request.tools if isinstance(tool, CustomTool))
        self.legacy = any(tool.shape & Shape.LEGACY_FUNCTION for tool in request.tools)

    def finish_word(self, finish: Finish) -> str:
        """`finish_reason`: the upstream's own word where it is one of ours."""
        if finish.raw in FINISH_TO_IR and finish.raw in ("stop", *FINISH_FROM_IR.values()):
            word = finish.raw
        else:
            word = FINISH_FROM_IR.get(finish.reason, "stop")
        return "function_call" if word == "tool_calls" and self.legacy else word

    def call(self, call: ToolCall) -> ToolCall:
        """The call as the client declared its tool: a custom tool that was emulated gets its text back."""
        if call.kind == "function" and call.name in self.custom:
            return ToolCall(
                call_id=call.call_id,
                name=call.name,
                arguments=custom_input(call.arguments),
                kind="custom",
                opaque=call.opaque,
            )
        return call


def completion_id(upstream: str) -> str:
    """The id of an answer: the upstream's own behind the prefix that clients expect."""
    if not upstream:
        return ids.minted(_ID_PREFIX, "")
    return upstream if upstream.startswith(_ID_PREFIX) else _ID_PREFIX + upstream


def custom_input(arguments: str) -> str:
    """The text in the arguments of an emulated custom tool; anything else as it is."""
    try:
        members = json.decode(arguments.encode(), dict[str, str])
    except MalformedMessage:
        return arguments
    return members["input"] if members.keys() == {"input"} else arguments


def broken_answer(finish: Finish) -> ErrorInfo:
    """The error of an answer that ended with one."""
    return ErrorInfo(
        kind="upstream",
        message=finish.explanation or "the upstream could not complete its answer",
        code="upstream_error",
    )


def refusal_text(finish: Finish) -> str:
    """What is said when the upstream declined without words."""
    if finish.explanation:
        return finish.explanation
    return f"Request declined ({finish.category})." if finish.category else "Request declined."


def encode_annotation(citation: Citation, start: int, end: int) -> Wire | None:
    """A citation of the text between `start` and `end`, where that text is part of a longer content."""
    if citation.protocol == NAME and citation.kind == "other" and citation.raw is not None:
        return json.decode(citation.raw, dict[str, object])
    if citation.kind != "url" or citation.url is None:
        return None
    first, last = citation.span or (0, end - start)
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": start + first,
            "end_index": start + last,
            "title": citation.title or "",
            "url": citation.url,
        },
    }


def _blocked() -> Wire:
    return {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None},
        "logprobs": None,
        "finish_reason": "content_filter",
    }


def _choice(candidate: Candidate, client: ClientView, report: LossReport) -> Wire:
    finish = candidate.finish or Finish(reason=_implied(candidate))
    message = _Message(client, report)
    path = f"candidates[{candidate.index}]"
    for index, part in enumerate(candidate.turn.parts):
        message.add(part, f"{path}.parts[{index}]")
    if finish.stop_sequence is not None:
        report.dropped("finish.stop_sequence", path)
    known: Wire = {
        "index": candidate.index,
        "message": restore(candidate.turn, message.finished(finish, candidate.turn.shape, path)),
        "logprobs": message.logprobs(),
        "finish_reason": client.finish_word(finish),
    }
    return restore(candidate, known)


def _implied(candidate: Candidate) -> FinishReason:
    called = any(isinstance(part, ToolCall) for part in candidate.turn.parts)
    return "tool_use" if called else "stop"


class _Message:
    """Builds one message from its parts."""

    def __init__(self, client: ClientView, report: LossReport) -> None:
        self._client = client
        self._report = report
        self._thoughts: list[Reasoning] = []
        self._texts: list[Text] = []
        self._refusals: list[str] = []
        self._calls: list[ToolCall | Raw] = []
        self._images: list[Wire] = []
        self._annotations: list[Wire] = []
        self._audio: Wire | None = None
        self._opaque: Opaque | None = None
        self._letters: list[str] = []
        self._length = 0

    def add(self, part: Part, path: str) -> None:
        match part:
            case Reasoning():
                self._report.foreign_ext(part, path)
                self._thoughts.append(part)
                if part.opaque is not None:
                    self._letters.append("r")
            case Text():
                self._text(part, path)
            case Refusal():
                self._refusals.append(part.text)
            case ToolCall():
                self._calls.append(self._client.call(part))
                self._letters.append("c")
            case Media():
                self._media(part, path)
            case HostedCall(protocol="openai_chat", raw=raw):
                self._calls.append(raw)
            case Control(kind=kind):
                self._report.dropped(f"control.{kind}", path)
            case HostedCall() | Native() | ToolResult():
                self._report.dropped("tool.hosted", path)

    def _text(self, text: Text, path: str) -> None:
        start, end = self._length, self._length + len(text.text)
        self._length = end
        self._texts.append(text)
        self._report.phase(text, path)
        if text.opaque is not None:
            if self._opaque is not None:
                self._report.dropped("reasoning.opaque", path, "only one text can be signed")
            self._opaque = text.opaque
        if text.text or text.opaque is not None:
            if "t" not in self._letters:
                self._letters.append("t")
            elif self._letters[-1] != "t":
                self._report.approximated("part.order", path, "text is joined")
        for citation in text.citations:
            self._report.quote(citation, path)
            annotation = encode_annotation(citation, start, end)
            if annotation is None:
                self._report.dropped("citation", path)
            else:
                self._annotations.append(annotation)

    def _media(self, media: Media, path: str) -> None:
        match media.source:
            case Inline() as source if media.kind == "audio":
                self._audio = encode_audio(media, source.data)
            case Inline() | Url() as source if media.kind == "image" and not media.thought:
                url = data_url.build(source) if isinstance(source, Inline) else source.url
                self._images.append(encode_image(url, len(self._images)))
                self._report.approximated("media.image", path, "in the extension `images`")
            case _:
                self._report.dropped(media_feature(media), path)

    def logprobs(self) -> Raw | None:
        tokens = [token for text in self._texts for token in text.logprobs or ()]
        return Raw(encode_logprobs(tokens)) if tokens else None

    def finished(self, finish: Finish, shape: int, path: str) -> Wire:
        told = ""
        if finish.reason == "refusal" and not self._refusals:
            told = refusal_text(finish)
            self._refusals.append(told)
        self._report.finish_details(finish, path, told)
        texts = [text.text for text in self._texts]
        wants_string = shape & Shape.CONTENT_STRING or any(texts)
        message: Wire = {
            "role": "assistant",
            "content": "".join(texts) if wants_string else None,
            "refusal": "".join(self._refusals) if self._refusals else None,
        }
        shown = [text for part in self._thoughts if (text := shown_text(part))]
        return (
            message
            | json.compact(
                {
                    "reasoning_content": SECTION_BREAK.join(shown) if shown else None,
                    "reasoning_details": encode_details(self._thoughts) or None,
                    "annotations": self._annotations or None,
                    "audio": self._audio,
                    "images": self._images or None,
                    "extra_content": self._extra() or None,
                }
            )
            | self._encoded_calls()
        )

    def _extra(self) -> Wire:
        known = extra_content.signature(self._opaque) if self._opaque is not None else {}
        order = extra_content.skeleton(self._letters)
        if order is not None:
            self._report.approximated("part.order", "message", "carried in extra_content")
            known |= {"gateway": {"order": order}}
        return known

    def _encoded_calls(self) -> Wire:
        if not self._calls:
            return {}
        first = self._calls[0]
        if self._client.legacy and isinstance(first, ToolCall):
            if len(self._calls) > 1:
                self._report.dropped("parallel_tools", "message", "function_call holds one call")
            return {"function_call": {"name": first.name, "arguments": first.arguments}}
        return {"tool_calls": [_call(call) if isinstance(call, ToolCall) else call for call in self._calls]}


def _call(call: ToolCall) -> Wire:
    known: Wire = {"id": call.call_id, "type": call.kind}
    if call.kind == "custom":
        known["custom"] = {"name": call.name, "input": call.arguments}
    else:
        nothing = "" if call.status == INCOMPLETE else "{}"
        known["function"] = {"name": call.name, "arguments": call.arguments or nothing}
    if call.opaque is not None:
        known["extra_content"] = extra_content.signature(call.opaque)
    return restore(call, known)


def encode_audio(media: Media, data: str) -> Wire:
    """A spoken answer."""
    return {
        "id": media.id or ids.minted("audio_", data[:64]),
        "data": data,
        "expires_at": media.expires_at or 0,
        "transcript": media.transcript or "",
    }


def encode_image(url: str, index: int) -> Wire:
    """An image of an answer, in the extension that other gateways use; a list in a delta needs the index."""
    return {"type": "image_url", "index": index, "image_url": {"url": url}}
