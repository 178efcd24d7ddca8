"""Real traffic: every recorded answer and stream of this protocol is decoded, encoded and folded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from aiclient2api.ir.events import StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.response import ModelResponse
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import is_object
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    RECORDED,
    builtins,
    check,
    decode_answer,
    encode_answer,
    encode_stream,
    normal,
    payloads,
    wire,
)

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded traffic in {RECORDED}")

PROVIDERS = ("openai", "azure", "open-responses", "xai")


def _answers() -> list[Path]:
    files = (path for name in PROVIDERS for path in sorted((RECORDED / name).glob("*.json")))
    return [path for path in files if _is_response(path)]


def _is_response(path: Path) -> bool:
    body = cast(object, json.loads(path.read_bytes()))
    return isinstance(body, dict) and cast("dict[str, Any]", body).get("object") == "response"


def _streams() -> list[Path]:
    files = (path for name in PROVIDERS for path in sorted((RECORDED / name).glob("*.chunks.txt")))
    return [path for path in files if b'"response.created"' in path.read_bytes() and _is_valid(path)]


def _is_valid(path: Path) -> bool:
    """One recording lacks the last brace of two lines."""
    return all(is_object(line) for line in path.read_bytes().split(b"\n") if line.strip())


def _has(inner: Any, outer: Any) -> bool:
    """Whether `outer` has everything that `inner` has."""
    if isinstance(inner, dict) and isinstance(outer, dict):
        given, found = cast("dict[str, Any]", inner), cast("dict[str, Any]", outer)
        return all(name in found and _has(value, found[name]) for name, value in given.items())
    if isinstance(inner, list) and isinstance(outer, list):
        items, others = cast("list[Any]", inner), cast("list[Any]", outer)
        return len(items) == len(others) and all(map(_has, items, others))
    return inner == outer


def _lines(path: Path) -> list[list[dict[str, Any]]]:
    """The streams of a recording: some hold the turns of a whole conversation."""
    streams: list[list[dict[str, Any]]] = []
    for line in path.read_text().split("\n"):
        event = json.loads(line) if line.strip() else None
        if event is not None and event["type"] == "response.created":
            streams.append([])
        if event is not None:
            streams[-1].append(event)
    return streams


def _events(lines: list[dict[str, Any]]) -> list[StreamEvent]:
    decoder = CONVERTER.stream_decoder()
    events: list[StreamEvent] = []
    for line in lines:
        events.extend(decoder.feed(Frame(b"", json.dumps(line).encode())))
    return [*events, *decoder.close()]


STREAMS = [
    pytest.param(lines, id=f"{path.name}:{number}")
    for path in (_streams() if RECORDED.is_dir() else [])
    for number, lines in enumerate(_lines(path))
]
ANSWERS = [pytest.param(path, id=path.name) for path in (_answers() if RECORDED.is_dir() else [])]


@pytest.mark.parametrize("path", ANSWERS)
def test_recorded_answer_comes_back_as_it_was(path: Path) -> None:
    body = json.loads(path.read_bytes())

    encoded = encode_answer(decode_answer(body))

    assert _has(normal(body), encoded)


@pytest.mark.parametrize("lines", STREAMS)
def test_recorded_stream_folds_to_its_answer(lines: list[dict[str, Any]]) -> None:
    events = _events(lines)

    check(events)
    # the terminal's own output may be empty, or sealed anew
    items = [line["item"] for line in lines if line["type"] == "response.output_item.done"]
    expected = decode_answer({**lines[-1]["response"], "output": items})
    assert _stable(fold(events, "openai_responses")) == _stable(expected)


def _stable(response: ModelResponse) -> Any:
    """What start and terminal agree on: some servers give every event another response id and time."""
    return builtins(msgspec.structs.replace(response, status=None, id="", created=None))


@pytest.mark.parametrize("lines", STREAMS)
def test_recorded_stream_is_encoded_to_the_same_answer(lines: list[dict[str, Any]]) -> None:
    events = _events(lines)

    terminal = payloads(encode_stream(events))[-1]["response"]

    whole = encode_answer(fold(events, "openai_responses"))
    assert _without_ids(terminal["output"]) == _without_ids(whole["output"])
    assert terminal["usage"] == whole["usage"]
    assert terminal["status"] == whole["status"]


def _without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


@pytest.mark.parametrize("path", ANSWERS)
def test_recorded_answer_is_the_same_as_a_stream(path: Path) -> None:
    response = decode_answer(json.loads(path.read_bytes()))

    events = unfold(response)

    check(events)
    terminal = payloads(encode_stream(events))[-1]
    assert terminal["response"]["output"] == encode_answer(response)["output"]


@pytest.mark.parametrize("lines", STREAMS)
def test_recorded_stream_passes_the_tap(lines: list[dict[str, Any]]) -> None:
    tap = CONVERTER.stream_tap(wire({}))

    for line in lines:
        data = json.dumps(line).encode()
        assert tap.feed(Frame(data, data)) == data

    assert tap.close() == b""
    assert (tap.ended, tap.content, tap.failure) == (True, True, None)
    assert tap.response_id == lines[0]["response"]["id"]
    assert tap.usage == fold(_events(lines), "openai_responses").usage
