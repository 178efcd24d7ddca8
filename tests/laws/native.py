"""Requests and answers of the four protocols as plain JSON: how they begin, where their conversation is."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tests.laws.plain import Doc
from tests.laws.words import Words

PROTOCOLS: Final = ("openai_chat", "openai_responses", "anthropic", "gemini")
OC, OR, AM, GG = PROTOCOLS
PAIRS: Final = tuple((client, upstream) for client in PROTOCOLS for upstream in PROTOCOLS)
MODEL: Final = "client-model"
SHORT: Final = {OC: "oc", OR: "or", AM: "am", GG: "gg"}

_LIST: Final = {OC: "messages", OR: "input", AM: "messages", GG: "contents"}


def request(protocol: str) -> Doc:
    """A request with nothing in it; what is said comes later."""
    match protocol:
        case "anthropic":
            return {"model": MODEL, "max_tokens": 1000, "messages": []}
        case "gemini":
            return {"contents": []}
        case "openai_responses":
            return {"model": MODEL, "store": False, "input": []}
        case _:
            return {"model": MODEL, "messages": []}


def history(protocol: str, doc: Doc) -> list[Doc]:
    """The list that holds the conversation, for reading and appending; a lone string is one message."""
    found = doc[_LIST[protocol]]
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    return found


def say(protocol: str, doc: Doc, *parts: Doc | str, role: str = "user") -> None:
    """Append a message of a user (or another role) with native parts; a string is a text."""
    native = [text_part(protocol, part, role) if isinstance(part, str) else part for part in parts]
    if protocol == GG:
        doc["contents"].append({"role": "model" if role == "assistant" else role, "parts": native})
        return
    only = parts[0] if len(parts) == 1 else None
    content: Any = only if isinstance(only, str) else native
    history(protocol, doc).append({"role": role, "content": content})


def text_part(protocol: str, text: str, role: str = "user") -> Doc:
    """A text as a part of a message."""
    match protocol:
        case "gemini":
            return {"text": text}
        case "openai_responses":
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case _:
            return {"type": "text", "text": text}


def generation(doc: Doc) -> Doc:
    """Gemini's `generationConfig`."""
    return doc.setdefault("generationConfig", {})


def config(doc: Doc) -> Doc:
    """Gemini's `generationConfig`, for reading."""
    return doc.get("generationConfig") or {}


class Said(NamedTuple):
    """What an upstream answers: its content (Chat: a message; the others: a list), why it ends, and the envelope."""

    content: Any
    finish: str = "stop"
    members: Doc = {}
    """Members of the answer itself."""
    candidate: Doc = {}
    """Members of the choice or candidate."""


_FINISH: Final = {
    OC: {"stop": "stop", "length": "length", "tool_use": "tool_calls", "refusal": "content_filter"},
    AM: {"stop": "end_turn", "length": "max_tokens", "tool_use": "tool_use", "refusal": "refusal"},
    GG: {"stop": "STOP", "length": "MAX_TOKENS", "tool_use": "STOP", "refusal": "SAFETY"},
}
_TOKENS: Final = {
    OC: {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    OR: {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    },
    AM: {"input_tokens": 10, "output_tokens": 5},
    GG: {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
}


def answer(protocol: str, said: Said, words: Words) -> Doc:
    """The complete answer of an upstream."""
    number = words.count(1, 999_999)
    match protocol:
        case "openai_chat":
            choice = {
                "index": 0,
                "message": said.content,
                "finish_reason": _FINISH[OC].get(said.finish, said.finish),
            }
            doc: Doc = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1_700_000_000}
            doc |= {"model": "up", "choices": [choice | {"logprobs": None} | said.candidate]}
            return doc | {"usage": _TOKENS[OC]} | said.members
        case "openai_responses":
            is_cut = said.finish == "length"
            doc = {"id": f"resp_{number}", "object": "response", "created_at": 1_700_000_000, "model": "up"}
            doc |= {"status": "incomplete" if is_cut else "completed", "output": said.content, "error": None}
            doc |= {"incomplete_details": {"reason": "max_output_tokens"} if is_cut else None}
            doc |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
            return doc | {"usage": _TOKENS[OR]} | said.members
        case "anthropic":
            doc = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "up"}
            doc |= {"content": said.content, "stop_reason": _FINISH[AM].get(said.finish, said.finish)}
            return doc | {"stop_sequence": None, "usage": _TOKENS[AM]} | said.members
        case _:
            candidate: Doc = {"content": {"role": "model", "parts": said.content}, "index": 0}
            candidate |= {"finishReason": _FINISH[GG].get(said.finish, said.finish)} | said.candidate
            doc = {"candidates": [candidate], "usageMetadata": _TOKENS[GG], "modelVersion": "up"}
            return doc | {"responseId": f"r{number}"} | said.members


def content_of(protocol: str, doc: Doc) -> Any:
    """What the assistant says in an answer, in the form of `Said.content`."""
    match protocol:
        case "openai_chat":
            return doc["choices"][0]["message"] if doc.get("choices") else {}
        case "openai_responses":
            return doc.get("output") or []
        case "anthropic":
            return doc.get("content") or []
        case _:
            found = (doc.get("candidates") or [{}])[0]
            return (found.get("content") or {}).get("parts") or []


def is_answer_item(item: Doc) -> bool:
    """Whether a Responses item was written by the model."""
    kind = item.get("type", "message")
    if kind == "message":
        return item.get("role") == "assistant"
    return not kind.endswith("_output") and kind not in ("configuration_update", "mcp_approval_response")


def turns_of(protocol: str, doc: Doc) -> list[Any]:
    """The assistant's turns in a request, each in the form of `Said.content`; neighbours are one turn."""
    turns: list[Any] = []
    joined = False
    for message in history(protocol, doc):
        if protocol == OR:
            mine, said = is_answer_item(message), [message]
        else:
            mine = message.get("role") in ("assistant", "model")
            said = {OC: message, GG: message.get("parts") or []}.get(protocol, _blocks(message))
        if mine and joined and protocol != OC:
            turns[-1] = [*turns[-1], *said]
        elif mine:
            turns.append(said)
        joined = mine
    return turns


def _blocks(message: Doc) -> list[Doc]:
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
