"""Thinking: the de-facto extensions `reasoning_content`, `reasoning` and `reasoning_details`.

OpenAI's Chat protocol has no place for reasoning. Servers and gateways agreed on these members; clients that
send message objects back keep them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from aiclient2api.ir.parts import Opaque, Reasoning
from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.protocols.openai_chat.schema import GATEWAY_FORMAT
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

SECTION_BREAK = "\n\n"
"""Between several summaries, which these members show as one text."""


def decode_reasoning(message: Members) -> list[Reasoning]:
    """A message's thinking. The details win over the plain text, which repeats theirs."""
    plain = message.take("reasoning_content", str)
    other = message.raw("reasoning")
    if plain is None and other is not None and json.is_string(other):
        plain = json.decode(other, str, message.at("reasoning"))
    entries = message.array("reasoning_details") or []
    parts = decode_details(entries, message.at("reasoning_details"))
    if plain and not any(part.summary or part.raw for part in parts):
        parts.insert(0, Reasoning(raw=[plain]))
    return parts


def decode_details(entries: Sequence[Raw], path: str) -> list[Reasoning]:
    """The parts that `reasoning_details` hold: one per entry, ours also in fragments as they were streamed."""
    parts: list[Reasoning] = []
    ours: dict[int, int] = {}
    for position, raw in enumerate(entries):
        entry = Members.parse(raw, f"{path}[{position}]")
        index, signature = entry.take("index", int), entry.take("signature", str)
        text, is_summary = _entry_text(entry)
        envelope = signature if signature and signature.startswith(MAGIC) else None
        if envelope is None and entry.take("format", str) != GATEWAY_FORMAT:
            parts.append(_reasoning(text, is_summary, Opaque("openai_chat.details", bytes(raw).decode())))
            continue
        opaque = Opaque("envelope", envelope) if envelope else None
        earlier = ours.get(index) if index is not None else None
        if earlier is not None:
            known = parts[earlier]
            parts[earlier] = Reasoning(raw=["".join(known.raw) + text], opaque=opaque or known.opaque)
            continue
        if index is not None:
            ours[index] = len(parts)
        parts.append(_reasoning(text, is_summary, opaque))
    return [part for part in parts if part.summary or part.raw or part.opaque]


def has_text(entry: Raw) -> bool:
    """Whether a detail shows something, so that the plain members only repeat it."""
    return bool(_entry_text(Members.parse(entry, "reasoning_details"))[0])


def shown_text(part: Reasoning) -> str:
    """What a client sees of the thinking."""
    return SECTION_BREAK.join((*part.summary, *part.raw))


def encode_details(parts: Sequence[Reasoning]) -> list[object]:
    """The `reasoning_details` of signed parts, for a client."""
    details: list[object] = []
    for part in parts:
        match part.opaque:
            case None:
                pass
            case Opaque(kind="openai_chat.details", data=data):
                details.append(Raw(data.encode()))
            case Opaque(data=data):
                details.append(
                    {
                        "type": "reasoning.text",
                        "index": len(details),
                        "format": GATEWAY_FORMAT,
                        "text": shown_text(part),
                        "signature": data,
                    }
                )
    return details


def _entry_text(entry: Members) -> tuple[str, bool]:
    """An entry's text, and whether it is a summary."""
    summary = entry.take("summary", str)
    return (summary, True) if summary else (entry.take("text", str) or "", False)


def _reasoning(text: str, is_summary: bool, opaque: Opaque | None) -> Reasoning:
    shown = [text] if text else []
    return Reasoning(summary=shown if is_summary else [], raw=[] if is_summary else shown, opaque=opaque)
