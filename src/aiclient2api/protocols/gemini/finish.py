"""Why an answer ended, both ways."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.parts import Ext
from aiclient2api.ir.response import Finish
from aiclient2api.protocols.cut_calls import CUTTING
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.ext import keep, restore
from aiclient2api.protocols.gemini.fields import fields
from aiclient2api.protocols.gemini.schema import FINISH, FINISH_OUT, NAME
from aiclient2api.protocols.report import LossReport

_BLOCKS = frozenset(
    ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"]
)
_DECLINED = ("refusal", "content_filter")


def decode_finish(reason: str | None, message: str | None, ext: Ext | None, *, has_calls: bool) -> Finish:
    """Google says STOP for tool calls too, imitations say a word of their own; other reasons win over a call."""
    found = FINISH.get(reason or "", "unknown")
    if has_calls and (found == "stop" or (found == "unknown" and reason)):
        found = "tool_use"
    return Finish(reason=found, raw=reason, explanation=message, ext=ext)


def encode_finish(finish: Finish, protocol: str, report: LossReport) -> Wire:
    """The members of the candidate that say why it ended; `protocol` is the answer's source."""
    if protocol == NAME:
        wire: Wire = {"finishReason": finish.raw} if finish.raw is not None else {}
        if finish.explanation is not None:
            wire["finishMessage"] = finish.explanation
        return restore(finish, wire)
    if finish.stop_sequence is not None:
        report.dropped("finish.stop_sequence", "finish")
    wire = {"finishReason": FINISH_OUT[finish.reason]}
    detail = finish.category or finish.explanation
    told = ""
    if finish.reason in _DECLINED and detail is not None:
        told = wire["finishMessage"] = f"{finish.raw or finish.reason}: {detail}"
    report.finish_details(finish, "finish", told)
    return wire


def without_call(finish: Finish) -> Finish:
    """The end of a candidate that shows a call less because only a piece of it came: that is no normal end."""
    if finish.reason in CUTTING:
        return finish
    return Finish(reason="malformed", raw=finish.raw)


def decode_block(feedback: Raw) -> Finish | None:
    """A refused prompt: an answer of its own kind (status 200), not an error."""
    members = fields(feedback, "promptFeedback")
    reason = members.take("blockReason", str)
    if reason is None:
        return None
    message = members.take("blockReasonMessage", str)
    return Finish(reason="content_filter", raw=reason, explanation=message or reason, ext=keep(members))


def encode_block(finish: Finish) -> Wire:
    """The `promptFeedback` of a refused prompt."""
    wire: Wire = {"blockReason": finish.raw if finish.raw in _BLOCKS else "SAFETY"}
    if finish.explanation is not None and finish.explanation != finish.raw:
        wire["blockReasonMessage"] = finish.explanation
    return restore(finish, wire)
