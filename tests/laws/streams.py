"""A complete answer as its upstream would have streamed it: events cut at will, bytes framed as the API frames them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.laws.plain import Doc, dump
from tests.laws.words import Words, cut


def streamed(protocol: str, doc: Doc, words: Words) -> bytes:
    """The stream that accumulates to `doc`."""
    return b"".join(events(protocol, doc, words))


def events(protocol: str, doc: Doc, words: Words) -> Iterator[bytes]:
    """The framed events one by one."""
    match protocol:
        case "openai_chat":
            yield from (b"data: " + dump(chunk) + b"\n\n" for chunk in _chat(doc, words))
            yield b"data: [DONE]\n\n"
        case "gemini":
            yield from (b"data: " + dump(chunk) + b"\r\n\r\n" for chunk in _gemini(doc, words))
        case "openai_responses":
            for number, event in enumerate(_responses(doc, words)):
                yield _named(event | {"sequence_number": number})
        case _:
            yield from (_named(event) for event in _messages(doc, words))


def _named(event: Doc) -> bytes:
    return f"event: {event['type']}\n".encode() + b"data: " + dump(event) + b"\n\n"


# ---- Chat


def _chat(doc: Doc, words: Words) -> Iterator[Doc]:
    head = {name: value for name, value in doc.items() if name not in ("choices", "usage", "object")}
    head |= {"object": "chat.completion.chunk"}
    for choice in doc["choices"]:
        ends: Doc = {"finish_reason": None, "logprobs": None}
        deltas = [{"role": "assistant", "content": ""}, *_chat_deltas(choice["message"], words)]
        for delta in deltas:
            yield head | {"choices": [{"index": choice["index"], "delta": delta, **ends}]}
        if choice.get("logprobs"):
            yield head | {
                "choices": [{"index": choice["index"], "delta": {}, **ends, "logprobs": choice["logprobs"]}]
            }
        last = {
            "index": choice["index"],
            "delta": {},
            "finish_reason": choice["finish_reason"],
            "logprobs": None,
        }
        yield head | {"choices": [last]}
    if doc.get("usage"):
        yield head | {"choices": [], "usage": doc["usage"]}


def _chat_deltas(message: Doc, words: Words) -> Iterator[Doc]:
    for name in ("reasoning_content", "content", "refusal"):
        value = message.get(name)
        if isinstance(value, str):
            yield from ({name: piece} for piece in cut(words, value))
    for index, detail in enumerate(message.get("reasoning_details") or ()):
        yield {"reasoning_details": [{"index": index, **detail}]}
    yield from _chat_calls(message.get("tool_calls") or [], words)
    for name in ("annotations", "images", "audio", "extra_content"):
        if message.get(name):
            yield {name: message[name]}


def _chat_calls(calls: list[Doc], words: Words) -> Iterator[Doc]:
    waiting: list[tuple[int, str, str, list[str]]] = []
    for index, call in enumerate(calls):
        kind = call["type"]
        member = "arguments" if kind == "function" else "input"
        first = {"name": call[kind]["name"], member: ""}
        rest = {name: value for name, value in call.items() if name not in ("id", "type", kind)}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": kind, kind: first, **rest}]}
        waiting.append((index, kind, member, cut(words, call[kind][member])))
        if words.coin():  # the next call opens before this one has ended
            continue
        yield from _fragments(waiting)
    while any(pieces for *_, pieces in waiting):
        index, kind, member, pieces = words.pick([one for one in waiting if one[3]])
        yield {"tool_calls": [{"index": index, kind: {member: pieces.pop(0)}}]}


def _fragments(waiting: list[tuple[int, str, str, list[str]]]) -> Iterator[Doc]:
    for index, kind, member, pieces in waiting:
        while pieces:
            yield {"tool_calls": [{"index": index, kind: {member: pieces.pop(0)}}]}


# ---- Responses


def _responses(doc: Doc, words: Words) -> Iterator[Doc]:
    begun = doc | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(doc["output"]):
        yield from ({**event, "output_index": index} for event in _item(item, words))
    yield {"type": f"response.{doc['status']}", "response": doc}


def _item(item: Doc, words: Words) -> Iterator[Doc]:
    kind, id_ = item["type"], item.get("id", "")
    match kind:
        case "message":
            yield _added(item | {"status": "in_progress", "content": []})
            for place, part in enumerate(item["content"]):
                yield from ({"item_id": id_, "content_index": place, **event} for event in _part(part, words))
        case "reasoning":
            opened = {
                name: value for name, value in item.items() if name not in ("encrypted_content", "content")
            }
            yield _added(opened | {"summary": []})
            for place, part in enumerate(item["summary"]):
                yield from (
                    {"item_id": id_, "summary_index": place, **event}
                    for event in _summary(part["text"], words)
                )
            for place, part in enumerate(item.get("content") or ()):
                yield from (
                    {"item_id": id_, "content_index": place, **event} for event in _raw(part["text"], words)
                )
        case "function_call" | "custom_tool_call":
            member = "arguments" if kind == "function_call" else "input"
            name = "function_call_arguments" if kind == "function_call" else "custom_tool_call_input"
            yield _added(item | {member: "", "status": "in_progress"})
            for piece in cut(words, item[member]):
                yield {"type": f"response.{name}.delta", "item_id": id_, "delta": piece}
            yield {"type": f"response.{name}.done", "item_id": id_, member: item[member]}
        case _:
            yield _added(item)
    yield {"type": "response.output_item.done", "item": item}


def _added(item: Doc) -> Doc:
    return {"type": "response.output_item.added", "item": item}


def _part(part: Doc, words: Words) -> Iterator[Doc]:
    is_text = part["type"] == "output_text"
    name, member = ("output_text", "text") if is_text else ("refusal", "refusal")
    empty: Doc = {"type": part["type"], member: ""} | ({"annotations": []} if is_text else {})
    yield {"type": "response.content_part.added", "part": empty}
    extra = {"logprobs": part.get("logprobs") or []} if is_text else {}
    for piece in cut(words, part[member]):
        yield {"type": f"response.{name}.delta", "delta": piece} | extra
        extra = {"logprobs": []} if is_text else {}
    for place, note in enumerate(part.get("annotations") or ()):
        yield {"type": "response.output_text.annotation.added", "annotation_index": place, "annotation": note}
    yield {"type": f"response.{name}.done", member: part[member]} | (
        {"logprobs": part.get("logprobs") or []} if is_text else {}
    )
    yield {"type": "response.content_part.done", "part": part}


def _summary(text: str, words: Words) -> Iterator[Doc]:
    begin = "response.reasoning_summary"
    yield {"type": f"{begin}_part.added", "part": {"type": "summary_text", "text": ""}}
    yield from ({"type": f"{begin}_text.delta", "delta": piece} for piece in cut(words, text))
    yield {"type": f"{begin}_text.done", "text": text}
    yield {"type": f"{begin}_part.done", "part": {"type": "summary_text", "text": text}}


def _raw(text: str, words: Words) -> Iterator[Doc]:
    yield {"type": "response.content_part.added", "part": {"type": "reasoning_text", "text": ""}}
    yield from ({"type": "response.reasoning_text.delta", "delta": piece} for piece in cut(words, text))
    yield {"type": "response.reasoning_text.done", "text": text}
    yield {"type": "response.content_part.done", "part": {"type": "reasoning_text", "text": text}}


# ---- Messages


def _messages(doc: Doc, words: Words) -> Iterator[Doc]:
    late = ("stop_reason", "stop_sequence", "stop_details", "container")
    begun = {name: value for name, value in doc.items() if name not in late}
    begun |= {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": doc["usage"] | {"output_tokens": 1},
    }
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(doc["content"]):
        if words.coin():
            yield {"type": "ping"}
        opened, deltas = _block(block, words)
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}
    ended = {name: doc[name] for name in late if name in doc}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": doc["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def _block(block: Doc, words: Words) -> tuple[Doc, list[Doc]]:
    match block["type"]:
        case "text":
            opened = {name: value for name, value in block.items() if name != "citations"} | {"text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in cut(words, block["text"])]
            deltas += [{"type": "citations_delta", "citation": one} for one in block.get("citations") or ()]
            return opened, deltas
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": piece} for piece in cut(words, block["thinking"])
            ]
            return (
                block | {"thinking": "", "signature": ""},
                [*deltas, {"type": "signature_delta", "signature": block["signature"]}],
            )
        case "tool_use" | "server_tool_use":
            text = dump(block["input"]).decode()
            pieces = cut(words, text) if text != "{}" else []
            return block | {"input": {}}, [
                {"type": "input_json_delta", "partial_json": one} for one in pieces
            ]
        case _:
            return block, []


# ---- Gemini


def _gemini(doc: Doc, words: Words) -> Iterator[Doc]:
    head = {name: value for name, value in doc.items() if name not in ("candidates", "usageMetadata")}
    for candidate in doc.get("candidates") or ():
        late = {name: value for name, value in candidate.items() if name not in ("content", "index")}
        chunks = [part for part in candidate["content"]["parts"] for part in _gemini_part(part, words)]
        for part in chunks[:-1]:
            yield head | {
                "candidates": [{"content": {"role": "model", "parts": [part]}, "index": candidate["index"]}]
            }
        last: Doc = {"content": {"role": "model", "parts": chunks[-1:]}, "index": candidate["index"], **late}
        yield head | {"candidates": [last], "usageMetadata": doc.get("usageMetadata")}
    if not doc.get("candidates"):
        yield head | {"usageMetadata": doc.get("usageMetadata")}


def _gemini_part(part: Doc, words: Words) -> list[Doc]:
    """A text may come in pieces; its signature comes with the last or late, on an empty part."""
    text = part.get("text")
    if not text:
        return [part]
    pieces = [part | {"text": piece} for piece in cut(words, text)]
    for piece in pieces[:-1]:
        piece.pop("thoughtSignature", None)
    return pieces
