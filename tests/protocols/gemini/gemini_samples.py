"""What the tests of this protocol share: short ways to say a request, an answer and a stream."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from aiclient2api.ir.events import StreamEvent
from aiclient2api.ir.parts import Part
from aiclient2api.ir.request import ModelRequest, Role, Turn
from aiclient2api.protocols.gemini import GeminiConverter
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse

GEMINI = GeminiConverter()
GEN3 = ModelProfile()
GEN2 = ModelProfile(thinking="budget", call_ids=False, json_schema=False, tool_result_media=False)

_SHARED = os.environ.get("AICLIENT2API_SHARED") or str(Path(__file__).parents[3].parent / "shared")
RECORDED = Path(_SHARED) / "recorded" / "google"

Json = Any


def wire_request(body: Json, path: str = "/v1beta/models/m:generateContent", query: str = "") -> WireRequest:
    return WireRequest(path=path, query=query, body=json.dumps(body).encode())


def decode(body: Json, path: str = "/v1beta/models/m:generateContent", query: str = "") -> ModelRequest:
    return GEMINI.decode_request(wire_request(body, path, query))


def contents(*contents: Json, **more: Json) -> Json:
    return {"contents": list(contents), **more}


def user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role=role, parts=list(parts))


def foreign(*turns: Turn, **settings: Any) -> ModelRequest:
    """A request as it comes from another protocol."""
    return ModelRequest(protocol="openai_chat", model="m", turns=list(turns), **settings)


def encoded(request: ModelRequest, profile: ModelProfile = GEN3) -> Json:
    return json.loads(GEMINI.encode_request(request, profile).wire.body)


def losses(request: ModelRequest, profile: ModelProfile = GEN3) -> set[tuple[str, str]]:
    return {(loss.feature, loss.act) for loss in GEMINI.encode_request(request, profile).losses}


def answer(body: Json) -> WireResponse:
    return WireResponse(status=200, body=json.dumps(body).encode())


def candidate(*parts: Json, reason: str | None = "STOP", **more: Json) -> Json:
    found: Json = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
    return found if reason is None else {**found, "finishReason": reason}


def chunk(*parts: Json, reason: str | None = None, **more: Json) -> Frame:
    body = {"candidates": [candidate(*parts, reason=reason)], "responseId": "r1", "modelVersion": "g", **more}
    return Frame(b"", json.dumps(body).encode())


def events_of(*frames: Frame) -> list[StreamEvent]:
    decoder = GEMINI.stream_decoder()
    events = [event for frame in frames for event in decoder.feed(frame)]
    return [*events, *decoder.close()]
