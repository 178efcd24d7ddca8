"""What breaks an official SDK is never emitted: one row for every measured reaction, with its check or why there is none."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.protocols.sdk_streams import Stream, failed, ping, streams
from tests.wire_tables import TABLES, needs_tables

OC, OR, AM, GG = "openai_chat", "openai_responses", "anthropic", "gemini"
Check = Callable[[], None]


def each(client: str, check: Callable[[Stream], bool]) -> Check:
    """A rule that every stream to a client obeys."""

    def run() -> None:
        found = streams(client)
        assert found
        for stream in found:
            assert check(stream), stream.body.decode()[:2000]

    return run


def that(check: Callable[[], bool]) -> Check:
    """A rule about what is the same for every stream."""

    def run() -> None:
        assert check()

    return run


# ---- Chat


def choices(stream: Stream) -> Iterator[tuple[dict[str, Any], Any]]:
    for event in stream.events:
        for choice in event["choices"]:
            yield choice["delta"], choice["finish_reason"]


def calls(stream: Stream) -> list[dict[str, Any]]:
    return [call for delta, _ in choices(stream) for call in delta.get("tool_calls", ())]


def once_per_call(stream: Stream) -> bool:
    for member in ("id", "type"):
        if any(
            count > 1 for count in Counter(call["index"] for call in calls(stream) if member in call).values()
        ):
            return False
    named = Counter(call["index"] for call in calls(stream) if call.get("function", {}).get("name"))
    return all(count == 1 for count in named.values())


def numbers_in(value: Any, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(numbers_in(inner, name) for name, inner in value.items())
    if isinstance(value, list):
        return any(numbers_in(inner, key) for inner in value)
    return isinstance(value, int | float) and key != "index"


def extensions(delta: dict[str, Any]) -> dict[str, Any]:
    known = ("role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "images")
    return {name: value for name, value in delta.items() if name not in known}


def indexed(stream: Stream) -> bool:
    lists = [value for delta, _ in choices(stream) for value in delta.values() if isinstance(value, list)]
    return all(isinstance(item.get("index"), int) for found in lists for item in found)


def extra_once(stream: Stream) -> bool:
    on_messages = sum("extra_content" in delta for delta, _ in choices(stream))
    on_calls = Counter(call["index"] for call in calls(stream) if "extra_content" in call)
    return on_messages <= 2 and all(count == 1 for count in on_calls.values())


def silent_after_finish(stream: Stream) -> bool:
    ends = [reason is not None for _, reason in choices(stream)]
    return ends.count(True) == 1 and ends[-1]


def usage_last(stream: Stream) -> bool:
    with_usage = [event for event in stream.events if event.get("usage")]
    return all(event["choices"] == [] for event in with_usage) and len(with_usage) <= 1


def dense(numbers: list[int]) -> bool:
    return list(dict.fromkeys(numbers)) == list(range(len(set(numbers))))


# ---- Responses


def kinds(stream: Stream) -> list[str]:
    return [event["type"] for event in stream.events]


def opened_before(stream: Stream, opening: str, inner: tuple[str, ...], key: tuple[str, ...]) -> bool:
    opened: set[tuple[Any, ...]] = set()
    for event in stream.events:
        place = tuple(event.get(name) for name in key)
        if event["type"] == opening:
            opened.add(place)
        if event["type"] in inner and place not in opened:
            return False
    return True


def all_done(stream: Stream) -> bool:
    found = Counter(kinds(stream))
    return found["response.output_item.added"] == found["response.output_item.done"]


def complete_output(stream: Stream) -> bool:
    done = [event["item"] for event in stream.events if event["type"] == "response.output_item.done"]
    return stream.events[-1]["response"]["output"] == done


# ---- Messages


def sequential(stream: Stream) -> bool:
    current: int | None = None
    for event in stream.events:
        match event["type"]:
            case "content_block_start":
                if current is not None:
                    return False
                current = event["index"]
            case "content_block_delta":
                if event["index"] != current:
                    return False
            case "content_block_stop":
                current = None
            case _:
                pass
    return current is None


def starts(stream: Stream) -> list[dict[str, Any]]:
    return [event for event in stream.events if event["type"] == "content_block_start"]


def one_signature(stream: Stream) -> bool:
    signed = Counter(
        event["index"]
        for event in stream.events
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "signature_delta"
    )
    return all(count == 1 for count in signed.values())


def valid_inputs(stream: Stream) -> bool:
    pieces: dict[int, str] = {}
    for event in stream.events:
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta":
            pieces[event["index"]] = pieces.get(event["index"], "") + event["delta"]["partial_json"]
    return all(isinstance(json.loads(text), dict) for text in pieces.values() if text)


# ---- Gemini


def gemini_parts(stream: Stream) -> Iterator[dict[str, Any]]:
    for event in stream.events:
        for candidate in event.get("candidates", ()):
            yield from candidate.get("content", {}).get("parts", ())


def base64_signatures(stream: Stream) -> bool:
    for part in gemini_parts(stream):
        if "thoughtSignature" in part:
            base64.b64decode(part["thoughtSignature"], validate=True)
    return True


_PART: Final = frozenset(
    ("text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "executableCode",
     "codeExecutionResult")
)  # fmt: skip
_FINISHES: Final = ("stop", "length", "tool_calls", "content_filter", "function_call")

READS = "about what the SDK reads or tolerates: nothing to emit"
SENDS = "about what the SDK sends: our decoders' tests cover it"

ROWS: Final[list[tuple[str, str, Check | str]]] = [
    (OC, "comments between events", that(lambda: ping(OC)[:1] in (b":", b"\n"))),
    (OC, "a named ping with an empty object", each(OC, lambda s: {} not in s.events)),
    (OC, "a named event without data", each(OC, lambda s: not s.names)),
    (OC, "CRLF line ends", READS),
    (OC, "a missing [DONE]", each(OC, lambda s: s.body.endswith(b"data: [DONE]\n\n"))),
    (OC, "an error in mid-stream", that(lambda: failed(OC).startswith(b'data: {"error":{') and b"DONE" not in failed(OC))),
    (OC, "an unknown finish reason", each(OC, lambda s: all(r in _FINISHES for _, r in choices(s) if r))),
    (OC, "the role twice", each(OC, lambda s: sum("role" in delta for delta, _ in choices(s)) == 1)),
    (OC, "the id or name of a call twice", each(OC, once_per_call)),
    (OC, "strings in extensions", READS),
    (OC, "lists in extensions without an index", each(OC, indexed)),
    (OC, "lists in extensions with an index", READS),
    (OC, "an extension object", each(OC, extra_once)),
    (OC, "numbers in extensions", each(OC, lambda s: not any(numbers_in(extensions(d)) for d, _ in choices(s)))),
    (OC, "a gap in the calls' indexes", each(OC, lambda s: dense([call["index"] for call in calls(s)]))),
    (OC, "custom calls in streams", "the client declared the custom tool, and its plain iterator reads the call"),
    (OC, "a delta after the finish", each(OC, silent_after_finish)),
    (OC, "the usage chunk", each(OC, usage_last)),
    (OC, "a message object sent back", SENDS),
    (OC, "embeddings as base64", "tests/integration/test_operations.py: both spellings through the SDK"),
    (OR, "no in_progress", each(OR, lambda s: kinds(s)[1] == "response.in_progress")),
    (OR, "no created", each(OR, lambda s: kinds(s)[0] == "response.created")),
    (OR, "an item that was not added", each(OR, lambda s: opened_before(
        s, "response.output_item.added",
        ("response.content_part.added", "response.function_call_arguments.delta", "response.output_item.done"),
        ("output_index",)))),
    (OR, "a text without its part", each(OR, lambda s: opened_before(
        s, "response.content_part.added", ("response.output_text.delta", "response.refusal.delta"),
        ("output_index", "content_index")))),
    (OR, "missing done events", each(OR, all_done)),
    (OR, "an incomplete terminal", each(OR, lambda s: kinds(s)[-1] in (
        "response.completed", "response.incomplete"))),
    (OR, "an empty output at the end", each(OR, complete_output)),
    (OR, "unknown event types", each(OR, lambda s: all(kind.startswith("response.") for kind in kinds(s)))),
    (OR, "unknown members sent back", SENDS),
    (OR, "no event lines", each(OR, lambda s: s.names == kinds(s))),
    (OR, "a flat error", that(lambda: b"event: response.failed" in failed(OR))),
    (OR, "a nested error", that(lambda: b'"type":"error"' not in failed(OR))),
    (OR, "comments between events", that(lambda: ping(OR)[:1] in (b":", b"\n"))),
    (OR, "a trailing [DONE]", each(OR, lambda s: b"[DONE]\n" not in s.body.rpartition(b"data: ")[2])),
    (AM, "no event line", each(AM, lambda s: s.names == kinds(s))),
    (AM, "comments and pings", that(lambda: ping(AM) == b'event: ping\ndata: {"type":"ping"}\n\n')),
    (AM, "a trailing [DONE]", each(AM, lambda s: not s.body.endswith(b"[DONE]\n\n"))),
    (AM, "a block that was not started, a gap", each(AM, lambda s: [e["index"] for e in starts(s)] == list(range(len(starts(s)))))),
    (AM, "a missing stop", each(AM, lambda s: kinds(s)[-1] == "message_stop" and kinds(s).count("content_block_stop") == len(starts(s)))),
    (AM, "a start without usage", each(AM, lambda s: {"input_tokens", "output_tokens"} <= s.events[0]["message"]["usage"].keys())),
    (AM, "counts at the end", each(AM, lambda s: "input_tokens" in s.events[-2]["usage"])),
    (AM, "two signatures of one block", each(AM, one_signature)),
    (AM, "input in the start of a call", each(AM, lambda s: all(e["content_block"].get("input", {}) == {} for e in starts(s)))),
    (AM, "a call without input", READS),
    (AM, "input that is no JSON", each(AM, valid_inputs)),
    (AM, "text in the start of a block", each(AM, lambda s: all(e["content_block"].get("text", "") == "" for e in starts(s)))),
    (AM, "interleaved blocks", each(AM, sequential)),
    (AM, "unknown types", each(AM, lambda s: {e["content_block"]["type"] for e in starts(s)} <= {"text", "thinking", "tool_use", "redacted_thinking"})),
    (AM, "an error in mid-stream", that(lambda: failed(AM).startswith(b"event: error\n"))),
    (AM, "unknown members sent back", SENDS),
    (AM, "default headers", SENDS),
    (GG, "comments", that(lambda: b":" not in ping(GG))),
    (GG, "event lines", each(GG, lambda s: not s.names)),
    (GG, "data without a space", each(GG, lambda s: all(line.startswith(b"data: ") for line in s.body.split(b"\r\n") if line))),
    (GG, "[DONE]", each(GG, lambda s: not s.body.rstrip().endswith(b"[DONE]"))),
    (GG, "blank lines", that(lambda: ping(GG).strip() == b"" and ping(GG) != b"")),
    (GG, "an empty object", each(GG, lambda s: {} not in s.events)),
    (GG, "an array where events were asked for", each(GG, lambda s: s.body.startswith(b"data: "))),
    (GG, "an error in mid-stream", that(lambda: re.match(rb'data: \{"error":\{"code":\d+,"message":', failed(GG)) is not None)),
    (GG, "an error that is no event", that(lambda: failed(GG).startswith(b"data: "))),
    (GG, "an error body in an array", READS),
    (GG, "an unknown finish reason", each(GG, lambda s: {c["finishReason"] for e in s.events for c in e["candidates"] if "finishReason" in c} <= {"STOP", "MAX_TOKENS", "SAFETY"})),
    (GG, "unknown members of parts", each(GG, lambda s: all(part.keys() <= _PART for part in gemini_parts(s)))),
    (GG, "a signature that is no base64", each(GG, base64_signatures)),
    (GG, "a signature in the URL-safe alphabet", each(GG, lambda s: not any("-" in p.get("thoughtSignature", "") or "_" in p.get("thoughtSignature", "") for p in gemini_parts(s)))),
    (GG, "long call ids", READS),
    (GG, "partMetadata", each(GG, lambda s: not any("partMetadata" in part for part in gemini_parts(s)))),
    (GG, "both casings in requests", SENDS),
    (GG, "the default address", SENDS),
    (GG, "embeddings in two forms", "Vertex's predict is no endpoint here; the other form is tests/integration/test_operations.py"),
    (GG, "a chat's echo of signatures", SENDS),
    (GG, "a chat's echo of a stream", SENDS),
    (OC, "an extension of a call without its function", each(OC, lambda s: all("function" in call or "custom" in call for call in calls(s)))),
    (OC, "an accumulated message sent back", SENDS),
    (AM, "arguments that were respelled", SENDS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("client", "stimulus", "check"),
    [pytest.param(*row, id=f"{row[0]}: {row[1]}") for row in ROWS if callable(row[2])],
)
def test_nothing_is_emitted_that_the_sdk_cannot_read(client: str, stimulus: str, check: Check) -> None:
    check()


def test_a_row_without_a_check_says_why() -> None:
    assert all(len(row[2]) > 20 for row in ROWS if isinstance(row[2], str))


@needs_tables
def test_every_measured_reaction_has_its_row() -> None:
    with (TABLES / "sdk_behaviour.tsv").open(newline="", encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    measured = Counter(row["protocol"] for row in csv.DictReader(lines, delimiter="\t"))
    short = {OC: "oc", OR: "or", AM: "am", GG: "gg"}
    assert Counter(short[client] for client, _, _ in ROWS) == measured
