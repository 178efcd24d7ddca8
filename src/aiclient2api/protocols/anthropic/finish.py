"""Why an answer ended: `stop_reason`, `stop_sequence`, `stop_details`."""

from __future__ import annotations

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Ext
from aiclient2api.ir.response import Finish
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.schema import (
    BROKEN,
    FINISH_REASONS,
    NAME,
    REFUSAL_CATEGORIES,
    STOP_REASONS,
)
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire.json import Members


def decode_finish(members: Members) -> Finish | None:
    """Take the three members; None while there is no reason yet."""
    reason = members.take("stop_reason", str)
    sequence = members.take("stop_sequence", str)
    whole = members.peek("stop_details")
    details = members.object("stop_details")
    if reason is None:
        return None
    category = explanation = None
    ext: Ext | None = None
    if details is not None and whole is not None:
        category = details.take("category", str)
        explanation = details.take("explanation", str)
        details.raw("type")
        # only its own protocol needs members that we do not know, and it needs them in place
        ext = {NAME: {"stop_details": whole}} if details.rest else None
    return Finish(
        reason=FINISH_REASONS.get(reason, "unknown"),
        raw=reason,
        stop_sequence=sequence,
        category=category,
        explanation=explanation,
        ext=ext,
    )


def note_finish(finish: Finish | None, report: LossReport) -> None:
    """What was said of the end and has no member here: only a refusal has details."""
    if finish is None or not (finish.category or finish.explanation):
        return
    told = ""
    if STOP_REASONS.get(finish.reason) == "refusal":
        known = finish.raw in FINISH_REASONS or finish.category in REFUSAL_CATEGORIES
        told = f"{finish.explanation or ''} {finish.category if known else ''}"
    report.finish_details(finish, "response", told)


def encode_finish(finish: Finish | None) -> dict[str, object]:
    """The three members. Raises MalformedMessage for an answer that did not really end."""
    if finish is None:
        return {"stop_reason": "end_turn", "stop_sequence": None}
    if finish.reason in BROKEN:
        raise MalformedMessage(f"the model did not complete its answer ({finish.raw or finish.reason})")
    reason = STOP_REASONS[finish.reason]
    wire: dict[str, object] = {"stop_reason": reason, "stop_sequence": finish.stop_sequence}
    native = finish.raw in FINISH_REASONS
    if reason == "refusal" and not (native and finish.category is None and finish.explanation is None):
        known = native or finish.category in REFUSAL_CATEGORIES
        wire["stop_details"] = {
            "type": "refusal",
            "category": finish.category if known else None,
            "explanation": finish.explanation or (None if native else finish.raw),
        }
    return {**wire, **kept(finish)} if finish.ext else wire
