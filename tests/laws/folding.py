"""A stream as its client accumulates it, without any code of the gateway or of an SDK."""

from __future__ import annotations

from typing import Any

from tests.laws.plain import Doc, load


def folded(protocol: str, body: bytes) -> Doc:
    """The complete answer; a chunk list for Gemini becomes one answer whose parts stay apart."""
    data = [load(item) for item in payloads(body) if item != b"[DONE]"]
    match protocol:
        case "openai_chat":
            return _chat(data)
        case "openai_responses":
            return _responses(data)
        case "anthropic":
            return _messages(data)
        case _:
            return _gemini(data)


def payloads(body: bytes) -> list[bytes]:
    """The data of every event of a stream."""
    found: list[bytes] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[6:] for line in block.split(b"\n") if line.startswith(b"data: ")]
        if lines:
            found.append(b"\n".join(lines))
    return found


def _chat(chunks: list[Doc]) -> Doc:
    doc: Doc = {}
    choices: dict[int, Doc] = {}
    for chunk in chunks:
        assert "error" not in chunk, chunk
        doc |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for piece in chunk["choices"]:
            choice = choices.setdefault(
                piece["index"], {"index": piece["index"], "message": {}, "finish_reason": None}
            )
            _merge(choice["message"], piece["delta"])
            choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]
            if piece.get("logprobs"):
                _merge(choice.setdefault("logprobs", {}), piece["logprobs"], lists_grow=True)
    for choice in choices.values():
        for call in choice["message"].get("tool_calls", ()):
            call.pop("index", None)
        choice["message"].setdefault("content", None)
        if choice["message"]["content"] == "" and choice["message"].get("tool_calls"):
            choice["message"]["content"] = None
    return doc | {"object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _merge(whole: Doc, delta: Doc, *, lists_grow: bool = False) -> None:
    """As the official helper does it: strings join, indexed lists merge, `type` and `index` are replaced."""
    for name, value in delta.items():
        old = whole.get(name)
        if value is None and old is not None:
            continue
        if old is None or name in ("type", "index"):
            whole[name] = value if not isinstance(value, list) or lists_grow else _indexed([], value)
        elif isinstance(value, str) and name != "role":
            whole[name] = old + value
        elif isinstance(value, dict):
            _merge(old, value)
        elif isinstance(value, list):
            whole[name] = [*old, *value] if lists_grow else _indexed(old, value)


def _indexed(whole: list[Any], pieces: list[Any]) -> list[Any]:
    for piece in pieces:
        if not isinstance(piece, dict) or "index" not in piece:
            whole.append(piece)
            continue
        while len(whole) <= piece["index"]:
            whole.append({})
        _merge(whole[piece["index"]], piece)
    return whole


def _responses(events: list[Doc]) -> Doc:
    """The terminal holds everything; it must agree with the items that were done before."""
    assert events[0]["type"] == "response.created", events[0]
    last = events[-1]
    assert last["type"] in ("response.completed", "response.incomplete"), last
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = {
        event["output_index"]: event["item"]
        for event in events
        if event["type"] == "response.output_item.done"
    }
    assert [done[index] for index in sorted(done)] == last["response"]["output"]
    return last["response"]


def _messages(events: list[Doc]) -> Doc:
    doc: Doc = {}
    texts: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                doc = dict(event["message"])
            case "content_block_start":
                assert event["index"] == len(doc["content"]), "blocks are dense and in order"
                doc["content"] = [*doc["content"], dict(event["content_block"])]
            case "content_block_delta":
                _block_delta(doc["content"][event["index"]], event["delta"], texts, event["index"])
            case "content_block_stop":
                if event["index"] in texts:
                    doc["content"][event["index"]]["input"] = load(texts.pop(event["index"]))
            case "message_delta":
                doc |= event["delta"]
                doc["usage"] = doc["usage"] | event["usage"]
            case "error":
                raise AssertionError(event)
            case _:
                pass
    assert events[-1]["type"] == "message_stop"
    return doc


def _block_delta(block: Doc, delta: Doc, texts: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            assert not block["signature"], "a second signature replaces the first"
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case _:
            texts[index] = texts.get(index, "") + delta["partial_json"]


def _gemini(chunks: list[Doc]) -> Doc:
    doc: Doc = {}
    candidates: dict[int, Doc] = {}
    for chunk in chunks:
        assert "error" not in chunk, chunk
        doc |= {name: value for name, value in chunk.items() if name != "candidates" and value is not None}
        for piece in chunk.get("candidates") or ():
            index = piece.get("index", 0)
            known = candidates.setdefault(index, {"index": index, "content": {"role": "model", "parts": []}})
            known["content"]["parts"] += (piece.get("content") or {}).get("parts") or []
            known |= {name: value for name, value in piece.items() if name not in ("content", "index")}
    return doc | ({"candidates": [candidates[index] for index in sorted(candidates)]} if candidates else {})
