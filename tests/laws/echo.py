"""What clients send back of an answer: everything, what the official SDK sends, or the least that works."""

from __future__ import annotations

from typing import Any, Final

from tests.laws.native import AM, GG, OC, OR, content_of, history, say
from tests.laws.pieces import facts
from tests.laws.plain import Doc, parsed, respelled
from tests.laws.results import result
from tests.laws.words import Words

STRENGTHS: Final = ("full", "sdk", "minimal")


def echoed(protocol: str, answer: Doc, strength: str) -> list[Doc]:
    """The assistant's messages (items, contents) of the next request."""
    said = content_of(protocol, answer)
    match strength:
        case "full":
            return _wrapped(protocol, said)
        case "sdk":
            return _sdk(protocol, said)
        case _:
            return _minimal(protocol, said)


def _wrapped(protocol: str, said: Any) -> list[Doc]:
    match protocol:
        case "openai_chat":
            return [{"role": "assistant"} | said]
        case "openai_responses":
            return list(said)
        case "anthropic":
            return [{"role": "assistant", "content": said}]
        case _:
            return [{"role": "model", "parts": _joined(said)}]


def _joined(parts: list[Doc]) -> list[Doc]:
    """The pieces of a text as the one part they are; a signature ends the part it comes with."""
    out: list[Doc] = []
    for part in parts:
        last = out[-1] if out else None
        is_piece = (
            part.keys() <= {"text", "thought"} and last is not None and last.keys() <= {"text", "thought"}
        )
        if is_piece and last is not None and part.get("thought") == last.get("thought"):
            out[-1] = last | {"text": last["text"] + part["text"]}
        else:
            out.append(part)
    return out


_PART_MEMBERS: Final = {"text", "thought", "thoughtSignature", "functionCall", "inlineData", "fileData",
                        "executableCode", "codeExecutionResult", "videoMetadata"}  # fmt: skip


def _sdk(protocol: str, said: Any) -> list[Doc]:
    """Chat and Responses objects go back as they are; Messages and Gemini SDKs parse the arguments and write them
    anew; a Gemini chat drops what it does not know and makes every part of a stream a content of its own."""
    if protocol == GG:
        parts = [{name: value for name, value in part.items() if name in _PART_MEMBERS} for part in said]
        return [{"role": "model", "parts": [respelled(part)]} for part in parts]
    if protocol == AM:
        return _wrapped(AM, respelled(said))
    if protocol == OC:
        return _wrapped(OC, said | {"annotations": said.get("annotations"), "function_call": None})
    return _wrapped(protocol, said)


def _minimal(protocol: str, said: Any) -> list[Doc]:
    """Role, text, and the calls by id, name and arguments."""
    found = facts(protocol, said)
    spoken = "".join(fact[1] for fact in found if fact[0] == "text")
    calls = [fact for fact in found if fact[0] == "call"]
    match protocol:
        case "openai_chat":
            made = [
                {"id": one[1], "type": kind, kind: {"name": one[2], member: one[3]}}
                for one, kind, member in zip(calls, *_kinds(said, len(calls)), strict=True)
            ]
            return [{"role": "assistant", "content": spoken or None} | ({"tool_calls": made} if made else {})]
        case "openai_responses":
            items: list[Doc] = [{"role": "assistant", "content": spoken}] if spoken else []
            kept = ("type", "call_id", "name", "arguments", "input")
            made = [item for item in said if item["type"] in ("function_call", "custom_tool_call")]
            return items + [{name: item[name] for name in kept if name in item} for item in made]
        case "anthropic":
            blocks: list[Doc] = [{"type": "text", "text": spoken}] if spoken else []
            blocks += [
                {"type": "tool_use", "id": one[1], "name": one[2], "input": respelled(parsed(one[3]))}
                for one in calls
            ]
            return [{"role": "assistant", "content": blocks}]
        case _:
            parts: list[Doc] = [{"text": spoken}] if spoken else []
            for one in calls:
                made_call: Doc = {"name": one[2], "args": respelled(parsed(one[3]))}
                parts.append({"functionCall": made_call | ({"id": one[1]} if one[1] else {})})
            return [{"role": "model", "parts": parts}]


def _kinds(said: Doc, count: int) -> tuple[list[str], list[str]]:
    kinds = [made.get("type", "function") for made in said.get("tool_calls") or ()][:count]
    return kinds, ["arguments" if kind == "function" else "input" for kind in kinds]


def calls_of(protocol: str, answer: Doc) -> list[tuple[str, str]]:
    """Id and name of every call that waits for the client."""
    return [(fact[1], fact[2]) for fact in facts(protocol, content_of(protocol, answer)) if fact[0] == "call"]


def go_on(protocol: str, doc: Doc, answer: Doc, strength: str, words: Words) -> None:
    """The next request of the conversation: the answer comes back, its calls are answered, the user goes on."""
    target = history(protocol, doc)
    target += echoed(protocol, answer, strength)
    waiting = calls_of(protocol, answer)
    if not waiting:
        say(protocol, doc, words.text())
        return
    customs = _custom_ids(protocol, answer)
    result(protocol, doc, *((id_, name, words.text()) for id_, name in waiting))
    if protocol == OR:
        for item in target:
            if item.get("type") == "function_call_output" and item["call_id"] in customs:
                item["type"] = "custom_tool_call_output"
    if protocol == GG:
        for part in target[-1]["parts"]:
            if part["functionResponse"]["id"] is None:
                del part["functionResponse"]["id"]


def _custom_ids(protocol: str, answer: Doc) -> set[str]:
    if protocol != OR:
        return set()
    return {item["call_id"] for item in content_of(OR, answer) if item["type"] == "custom_tool_call"}
