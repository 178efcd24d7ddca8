"""What a model says, piece by piece, in the words of its protocol; and the same read back as neutral facts."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.laws.native import AM, GG, OC, OR
from tests.laws.plain import Doc, load, parsed, valued
from tests.laws.words import Words, exact


class Piece(NamedTuple):
    """One thing a model says: Chat: members of the message; Responses: an item; Messages: a block; Gemini: a part."""

    kind: str
    wire: Doc


def text(protocol: str, said: str, words: Words, **members: Any) -> Piece:
    """A text; `members` go with its part (its citations, its logprobs)."""
    match protocol:
        case "openai_chat":
            return Piece("text", {"content": said, **members})
        case "openai_responses":
            part = {"type": "output_text", "text": said, "annotations": [], **members}
            item = {"type": "message", "id": words.token("msg_"), "role": "assistant", "status": "completed"}
            return Piece("text", item | {"content": [part]})
        case "anthropic":
            return Piece("text", {"type": "text", "text": said, **members})
        case _:
            return Piece("text", {"text": said, **members})


def thought(protocol: str, said: str, words: Words) -> Piece:
    """A thought with the signature its provider gives; Chat servers give none."""
    match protocol:
        case "openai_chat":
            return Piece("thought", {"reasoning_content": said})
        case "openai_responses":
            summary = [{"type": "summary_text", "text": said}] if said else []
            item = {"type": "reasoning", "id": words.token("rs_"), "summary": summary}
            return Piece("thought", item | {"encrypted_content": words.signature("openai")})
        case "anthropic":
            block = {"type": "thinking", "thinking": said, "signature": words.signature("anthropic")}
            return Piece("thought", block)
        case _:
            return Piece("thought", {"text": said, "thought": True})


def call(protocol: str, id_: str, name: str, arguments: str, words: Words, *, signed: bool = False) -> Piece:
    """A call of a function; `arguments` is the text of a JSON object (Chat, Responses: any text)."""
    match protocol:
        case "openai_chat":
            made = {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            return Piece("call", {"tool_calls": [made]})
        case "openai_responses":
            item = {"type": "function_call", "id": words.token("fc_"), "call_id": id_, "name": name}
            return Piece("call", item | {"arguments": arguments, "status": "completed"})
        case "anthropic":
            return Piece("call", {"type": "tool_use", "id": id_, "name": name, "input": load(arguments)})
        case _:
            part: Doc = {
                "functionCall": {"name": name, "args": load(arguments)} | ({"id": id_} if id_ else {})
            }
            return Piece("call", part | ({"thoughtSignature": words.signature("gemini")} if signed else {}))


def content(protocol: str, pieces: list[Piece]) -> Any:
    """The pieces as what is said in one answer."""
    if protocol != OC:
        return [piece.wire for piece in pieces]
    message: Doc = {"role": "assistant", "content": None}
    for piece in pieces:
        for name, value in piece.wire.items():
            old = message.get(name)
            message[name] = value if old is None else old + value
    return message


# ---- read back


def facts(protocol: str, said: Any) -> list[tuple[Any, ...]]:
    """What was said as neutral tuples, in order (Chat: thoughts, text, calls)."""
    if protocol == OC:
        return _chat_facts(said)
    found = [fact for item in said for fact in _FACTS[protocol](item)]
    return _joined(found) if protocol == GG else found


def _chat_facts(message: Doc) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    if message.get("reasoning_content"):
        found.append(("thought", message["reasoning_content"], ""))
    said = message.get("content")
    for part in [{"text": said}] if isinstance(said, str) else said or ():
        found += [(kind, part[kind]) for kind in ("text", "refusal") if part.get(kind)]
    if message.get("refusal"):
        found.append(("refusal", message["refusal"]))
    for made in message.get("tool_calls") or ():
        inner = made[made.get("type", "function")]
        found.append(("call", made["id"], inner["name"], inner.get("arguments", inner.get("input"))))
    return found


def _responses_facts(item: Doc) -> list[tuple[Any, ...]]:
    match item.get("type", "message"):
        case "message":
            said = item["content"]
            if isinstance(said, str):
                return [("text", said)]
            return [
                ("text", one["text"]) if "text" in one else ("refusal", one.get("refusal")) for one in said
            ]
        case "reasoning":
            summary = tuple(one["text"] for one in item.get("summary") or ())
            raw = tuple(one["text"] for one in item.get("content") or ())
            return [("thought", summary, item.get("encrypted_content") or "", *([raw] if raw else []))]
        case "function_call":
            return [("call", item["call_id"], item["name"], item["arguments"])]
        case "custom_tool_call":
            return [("call", item["call_id"], item["name"], item["input"])]
        case kind:
            return [("native", kind)]


def _messages_facts(block: Doc) -> list[tuple[Any, ...]]:
    match block["type"]:
        case "text":
            return [("text", block["text"])]
        case "thinking":
            return [("thought", block["thinking"], block.get("signature") or "")]
        case "redacted_thinking":
            return [("redacted", block["data"])]
        case "tool_use":
            return [("call", block["id"], block["name"], exact(block["input"]))]
        case kind:
            return [("native", kind)]


def _gemini_facts(part: Doc) -> list[tuple[Any, ...]]:
    signature = str(part.get("thoughtSignature") or "").replace("-", "+").replace("_", "/")
    if "functionCall" in part:
        made = part["functionCall"]
        return [("call", made.get("id"), made["name"], exact(made.get("args") or {}), signature)]
    if "text" in part:
        kind = "thought" if part.get("thought") else "text"
        return [(kind, part["text"], signature)]
    return [("native", next(iter(part), ""))]


_FACTS = {OR: _responses_facts, AM: _messages_facts, GG: _gemini_facts}


def _joined(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Gemini: the borders of text chunks mean nothing; an empty text without a signature is nothing."""
    out: list[tuple[Any, ...]] = []
    for fact in found:
        if fact[0] not in ("text", "thought"):
            out.append(fact)
        elif not fact[1] and not fact[2]:
            continue
        elif out and out[-1][0] == fact[0] and not out[-1][2] and fact[1]:
            out[-1] = (fact[0], out[-1][1] + fact[1], fact[2])
        else:
            out.append(fact)
    return out


def loose(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Facts with arguments by value, for clients whose SDK parses numbers."""
    return [
        (*fact[:3], repr(valued(parsed(fact[3]))), *fact[4:]) if fact[0] == "call" else fact for fact in found
    ]
