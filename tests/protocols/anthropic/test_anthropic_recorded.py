"""Traffic recorded from the real provider, where it is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

SHARED = Path(os.environ.get("AICLIENT2API_SHARED") or Path(__file__).parents[4] / "shared")
FOLDER = SHARED / "recorded" / "anthropic"
WHOLE = sorted(path.name for path in FOLDER.glob("*.json"))
CHUNKS = sorted(path.name for path in FOLDER.glob("*.chunks.txt"))

pytestmark = pytest.mark.skipif(not WHOLE, reason=f"no recorded traffic in {FOLDER}")

CONVERTER = AnthropicConverter()
ASKED = ModelRequest(protocol="anthropic", model="m")
NO_MESSAGES = {"anthropic-skill-version-create.json"}


def normal(message: dict[str, Any]) -> dict[str, Any]:
    """Absent and null are the same in an answer, and so is an absent count and 0."""
    counts = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    usage = {name: value for name, value in (counts | message["usage"]).items() if value is not None}
    return {name: value for name, value in message.items() if value is not None} | {"usage": usage}


def streams(name: str) -> list[list[Frame]]:
    """A file may hold several streams, one after the other."""
    found: list[list[Frame]] = []
    for line in (FOLDER / name).read_bytes().splitlines():
        if b'"message_start"' in line:
            found.append([])
        found[-1].append(Frame(b"data: " + line + b"\n\n", line))
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_is_written_back_as_it_was(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    if name in NO_MESSAGES:
        with pytest.raises(MalformedMessage):
            CONVERTER.decode_response(WireResponse(status=200, body=body))
        return

    response = CONVERTER.decode_response(WireResponse(status=200, body=body))
    encoded = CONVERTER.encode_response(response, ASKED)

    assert normal(json.loads(encoded.wire.body)) == normal(json.loads(body))
    assert encoded.losses == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_survives_as_a_stream(name: str) -> None:
    if name in NO_MESSAGES:
        return
    body = (FOLDER / name).read_bytes()
    response = CONVERTER.decode_response(WireResponse(status=200, body=body))
    encoder, decoder = CONVERTER.stream_encoder(ASKED), CONVERTER.stream_decoder()

    data = b"".join([encoder.feed(event) for event in unfold(response)])
    again = fold([event for frame in SseDecoder().feed(data) for event in decoder.feed(frame)], "anthropic")

    written = CONVERTER.encode_response(again, ASKED).wire.body
    assert json.loads(written)["content"] == json.loads(body)["content"]


@pytest.mark.parametrize("name", CHUNKS)
def test_a_recorded_stream_folds_and_survives(name: str) -> None:
    for frames in streams(name):
        decoder = CONVERTER.stream_decoder()
        events = [event for frame in frames for event in decoder.feed(frame)] + decoder.close()
        response = fold(events, "anthropic")

        encoder, again = CONVERTER.stream_encoder(ASKED), CONVERTER.stream_decoder()
        data = b"".join([encoder.feed(event) for event in events])
        second = fold(
            [event for frame in SseDecoder().feed(data) for event in again.feed(frame)], "anthropic"
        )

        # an empty text block is not written
        kept = [part for part in response.candidates[0].turn.parts if getattr(part, "text", "x")]
        assert second.candidates[0].turn.parts == kept
        assert second.candidates[0].finish == response.candidates[0].finish


@pytest.mark.parametrize("name", CHUNKS)
def test_a_recorded_stream_is_relayed_untouched(name: str) -> None:
    for frames in streams(name):
        tap = CONVERTER.stream_tap(WireRequest(path="/v1/messages"))

        out = [tap.feed(frame) for frame in frames]

        assert out == [frame.raw for frame in frames]
        assert (tap.ended, tap.failure) == (True, None)
        assert tap.usage is not None
