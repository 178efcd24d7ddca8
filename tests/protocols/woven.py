"""Streams of an upstream woven from events of any kind in any order, then hurt, then framed: what no book has."""

from __future__ import annotations

from typing import Final

from aiclient2api.wire.frames import FrameDecoder
from tests.laws.exchange import CONVERTERS
from tests.laws.fuzzing import broken_tree, mutated
from tests.laws.plain import Doc, dump, load
from tests.laws.words import Words

Event = tuple[str | None, bytes]
"""Its name and its data."""
TEXTS: Final = ("a", "b ", "", "c\n", "{", "é", "𝄞", '"q"')
_CHAT_CALL: Final = {"index": 0, "id": "c0", "function": {"name": "f", "arguments": "{}"}}
_CHAT: Final[tuple[Doc, ...]] = (
    {"reasoning_content": "hm"},
    {"refusal": "no"},
    {"content": "x", "reasoning_content": "hm"},
    {"content": "x", "refusal": "no"},
    {"content": "x", "tool_calls": [_CHAT_CALL]},
    {"content": "x", "function_call": {"name": "f", "arguments": "{}"}},
    {"tool_calls": [_CHAT_CALL]},
    {"tool_calls": [{"index": 1, "function": {"arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
    {"annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}]},
    {},
    {"content": None},
    {"content": [{"type": "text", "text": "listed"}]},
    {"content": "x", "role": "assistant", "tool_calls": []},
    {"content": "x", "odd": 1},
    {"audio": {"id": "a", "data": "AA", "transcript": "spoken"}},
    {"extra_content": {"google": {"thought_signature": "sig"}}},
)
_CHAT_BESIDE: Final[tuple[Doc, ...]] = (
    {"logprobs": {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}},
    {"usage": {"prompt_tokens": 1}},
    {"message": {"content": "whole"}},
    {"finish_reason": ""},
    {"finish_reason": "length"},
    {"finish_reason": "unheard"},
)
_CHUNK_BESIDE: Final[tuple[Doc, ...]] = (
    {"usage": None},
    {"usage": {"prompt_tokens": 5, "completion_tokens": 1}},
    {"service_tier": "flex"},
    {"system_fingerprint": "fp"},
    {"moderation": {"a": 1}},
    {"odd": {"a": 1}},
)
_BLOCKS: Final[tuple[Doc, ...]] = (
    {"type": "text", "text": ""},
    {"type": "text", "text": "begun "},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "redacted_thinking", "data": "zz"},
    {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "fancy", "text": ""},
)
_PAGE: Final = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"}
_DELTAS: Final[tuple[Doc, ...]] = (
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "thinking_delta", "thinking": "hm", "text": ""},
    {"type": "input_json_delta", "partial_json": "{"},
    {"type": "signature_delta", "signature": "s", "text": "q"},
    {"type": "citations_delta", "citation": _PAGE | {"encrypted_index": "e"}},
    {"type": "unheard_delta", "stuff": 1},
)
_PARTS: Final[tuple[Doc, ...]] = (
    {"text": "hm", "thought": True},
    {"text": "signed", "thoughtSignature": "sg"},
    {"functionCall": {"name": "f", "args": {"a": 1.50}}},
    {"functionCall": {"name": "f", "willContinue": True}},
    {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}},
    {"functionCall": {}},
    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"text": "x", "odd": 1},
)
_GROUND: Final = {"segment": {"startIndex": 0, "endIndex": 1, "text": "a"}, "groundingChunkIndices": [0]}
_CANDIDATE_BESIDE: Final[tuple[Doc, ...]] = (
    {"finishReason": "MAX_TOKENS"},
    {"finishReason": "UNHEARD"},
    {"groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": [_GROUND]}},
    {"logprobsResult": {"chosenCandidates": [{"token": "a", "logProbability": -1}], "topCandidates": []}},
    {"odd": 1},
)
_SAID: Final = {"type": "output_text", "text": "ab c", "annotations": []}
_MESSAGE: Final = {"type": "message", "id": "m1", "role": "assistant"}
_CALL: Final = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": ""}
_ITEMS: Final[tuple[Doc, ...]] = (
    {"type": "output_item.added", "item": _MESSAGE | {"content": []}},
    {"type": "output_item.added", "item": {"type": "reasoning", "id": "r1", "summary": []}},
    {"type": "output_item.added", "item": _CALL},
    {"type": "output_item.done", "item": _MESSAGE | {"content": [_SAID]}},
    {"type": "output_item.done", "item": _CALL | {"arguments": "{}"}},
    {"type": "content_part.added", "part": _SAID | {"text": ""}},
    {"type": "content_part.added", "part": {"type": "refusal", "refusal": ""}},
    {"type": "refusal.delta", "delta": "no"},
    {"type": "function_call_arguments.delta", "delta": "{"},
    {"type": "reasoning_summary_text.delta", "delta": "hm"},
    {"type": "output_text.annotation.added", "annotation": {"type": "url_citation", "url": "u"}},
    {"type": "unheard.delta", "delta": "x"},
)


def woven(protocol: str, words: Words) -> list[Event]:
    """Mostly pieces of text, anything between them, and an end."""
    return {"openai_chat": _chat, "openai_responses": _responses, "anthropic": _claude}.get(
        protocol, _gemini
    )(words)


def _index(words: Words) -> int:
    return words.pick((0, 0, 0, 0, 1, 2))


def _beside(words: Words, members: tuple[Doc, ...]) -> Doc:
    return words.pick(members) if words.count(0, 7) == 0 else {}


def _is_text(words: Words) -> bool:
    return words.count(0, 2) > 0


def _chat(words: Words) -> list[Event]:
    chunks: list[Doc] = []
    for _ in range(words.count(2, 12)):
        choices: list[Doc] = []
        for _ in range(words.pick((1, 1, 1, 1, 2, 0))):
            delta = {"content": words.pick(TEXTS)} if _is_text(words) else words.pick(_CHAT)
            choices.append(
                {"index": words.pick((0, 0, 0, 0, 1)), "delta": delta} | _beside(words, _CHAT_BESIDE)
            )
        chunks.append({"id": "c", "model": "m", "choices": choices} | _beside(words, _CHUNK_BESIDE))
    ends = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in range(words.count(1, 2))]
    return [*((None, dump(chunk)) for chunk in [*chunks, {"id": "c", "choices": ends}]), (None, b"[DONE]")]


def _claude(words: Words) -> list[Event]:
    events: list[Doc] = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}}
    ]
    for place in range(words.count(3, 16)):
        index = words.pick((0, 0, 1))
        if place == 0 or words.count(0, 3) == 0:
            events.append(
                {"type": "content_block_start", "index": index, "content_block": words.pick(_BLOCKS)}
            )
        elif words.count(0, 7) == 0:
            events.append(words.pick(({"type": "content_block_stop", "index": index}, {"type": "ping"})))
        else:
            text = {"type": "text_delta", "text": words.pick(TEXTS)}
            delta = text if _is_text(words) else words.pick(_DELTAS)
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
    reason = words.pick(("end_turn", "max_tokens", "tool_use", "refusal"))
    events += [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 4}}]
    return [(event["type"], dump(event)) for event in [*events, {"type": "message_stop"}]]


def _gemini(words: Words) -> list[Event]:
    chunks: list[Doc] = []
    for _ in range(words.count(1, 10)):
        parts = [
            {"text": words.pick(TEXTS)} if _is_text(words) else words.pick(_PARTS)
            for _ in range(words.count(0, 2))
        ]
        candidate: Doc = {"content": {"role": "model", "parts": parts}} | _beside(words, _CANDIDATE_BESIDE)
        candidate |= words.pick(({}, {"index": 0}, {"index": 0}, {"index": 1}))
        counts = {
            "usageMetadata": {
                "promptTokenCount": 1,
                "candidatesTokenCount": 2,
                "trafficType": "ON_DEMAND_FLEX",
            }
        }
        chunks.append(
            {"candidates": [candidate], "modelVersion": "m", "responseId": "r"} | _beside(words, (counts,))
        )
    return [
        (None, dump(chunk)) for chunk in [*chunks, {"candidates": [{"index": 0, "finishReason": "STOP"}]}]
    ]


def _responses(words: Words) -> list[Event]:
    answer: Doc = {"id": "resp_1", "model": "m", "status": "in_progress", "output": []}
    events: list[Doc] = [{"type": "created", "response": answer}]
    for _ in range(words.count(2, 14)):
        text = {"type": "output_text.delta", "delta": words.pick(TEXTS)}
        places = {"output_index": _index(words), "content_index": words.pick((0, 0, 1))}
        events.append((text if _is_text(words) else words.pick(_ITEMS)) | places)
    end: str = words.pick(("completed", "completed", "incomplete", "failed"))
    counts = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    events.append({"type": end, "response": answer | {"status": end, "usage": counts}})
    return [
        (f"response.{event['type']}", dump(event | {"type": f"response.{event['type']}"})) for event in events
    ]


def hurt(events: list[Event], words: Words) -> list[Event]:
    """Events lost, doubled, moved, renamed or broken inside, and some of others between them."""
    found = list(events)
    for _ in range(words.pick((0, 0, 1, 1, 2))):
        place = words.count(0, len(found) - 1)
        name, data = found[place]
        match words.count(0, 9):
            case 0:
                changed = []
            case 1:
                changed = [(name, data)] * 2
            case 2:
                changed = [(None, b""), (name, data)]
            case 3:
                changed = [(None, b'{"error":{"message":"no"}}'), (name, data)]
            case 4:
                changed = [(words.pick((None, "", "message", "error")), data)]
            case 5:
                changed = [(name, mutated(data, words))]
            case _:
                changed = [(name, _broken(data, words))]
        found[place : place + 1] = changed
        if not found:
            break
    return found


def _broken(data: bytes, words: Words) -> bytes:
    try:
        return dump(broken_tree(load(data), words))
    except ValueError:
        return data


def framed(events: list[Event], words: Words) -> list[bytes]:
    """Each event as a server writes it."""
    line: bytes = words.pick((b"\n", b"\n", b"\r\n", b"\r"))
    pieces: list[bytes] = []
    for name, data in events:
        if not data and name is None:
            pieces.append(b": alive" + line * 2)
            continue
        head = b"" if name is None else b"event: " + name.encode() + line
        colon: bytes = words.pick((b"data: ", b"data: ", b"data: ", b"data:"))
        tail = line + b"id: 7" + line * 2 if words.count(0, 15) == 0 else line * 2
        pieces.append(head + colon + data.replace(b"\n", b" ").replace(b"\r", b" ") + tail)
    return pieces


def reads(pieces: list[bytes], words: Words) -> list[bytes]:
    """The bytes in pieces as they may come: all at once, some events together, or cut anywhere."""
    body = b"".join(pieces)
    if words.coin():
        places = sorted(words.count(0, len(body)) for _ in range(words.count(0, 6)))
        return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    size: int = words.pick((1, 1, 2, 3, 6))
    return [b"".join(pieces[at : at + size]) for at in range(0, len(pieces), size)]


def frames_for(protocol: str) -> FrameDecoder:
    """The decoder of a protocol's event streams."""
    return CONVERTERS[protocol].frames("text/event-stream")
