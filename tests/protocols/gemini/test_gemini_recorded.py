"""Traffic of the real provider, and the official client against what we emit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from google import genai
from google.genai import types

from aiclient2api.ir.events import PartStart, StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import Opaque, Reasoning, Text, ToolCall
from aiclient2api.ir.request import StreamMode
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from aiclient2api.protocols.carrier import Carrier, SealingStream
from aiclient2api.protocols.opening import join_continued, open_request
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireResponse
from tests.protocols.gemini.gemini_samples import GEMINI, RECORDED, Json, decode, events_of, foreign, turn

recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded traffic here")


def files(pattern: str) -> list[Path]:
    """Recordings of this protocol; the folder also holds the Interactions and the Live API."""
    found = sorted(RECORDED.glob(pattern)) if RECORDED.is_dir() else []
    return [path for path in found if b'"candidates"' in path.read_bytes()[:40]]


def name(path: Path) -> str:
    return path.name


@recorded
@pytest.mark.parametrize("path", files("*.json"), ids=name)
def test_a_recorded_answer_survives(path: Path) -> None:
    body: Json = json.loads(path.read_bytes())

    answer = GEMINI.decode_response(WireResponse(status=200, body=path.read_bytes()))

    assert json.loads(GEMINI.encode_response(answer, foreign()).wire.body) == body


@recorded
@pytest.mark.parametrize("path", files("*.chunks.txt"), ids=name)
def test_a_recorded_stream_folds(path: Path) -> None:
    frames = [Frame(b"", line) for line in path.read_bytes().splitlines() if line]

    answer = fold(events_of(*frames), "gemini")

    (candidate,) = answer.candidates
    assert candidate.finish is not None and answer.usage is not None and answer.id and answer.model
    has_calls = any(isinstance(part, ToolCall) for part in candidate.turn.parts)
    assert candidate.finish.reason == ("tool_use" if has_calls else "stop")
    for part in candidate.turn.parts:
        if isinstance(part, ToolCall):
            assert isinstance(json.loads(part.arguments), dict)


@recorded
def test_recorded_arguments_in_pieces() -> None:
    def arguments(file: str) -> list[tuple[str, Json]]:
        lines = (RECORDED / file).read_bytes().splitlines()
        parts = (
            fold(events_of(*(Frame(b"", line) for line in lines if line)), "gemini").candidates[0].turn.parts
        )
        return [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)]

    assert arguments("google-stream-tool-call-arguments.chunks.txt") == [
        ("getWeather", {"location": "Boston"}),
        ("getWeather", {"location": "San Francisco"}),
    ]
    assert arguments("google-stream-no-args-tool-call.chunks.txt") == [
        ("read_theme", {}),
        ("read_screen", {"id": "A"}),
        ("read_screen", {"id": "B"}),
        ("read_screen", {"id": "C"}),
    ]
    items = arguments("google-stream-tool-call-array-arguments-missing-terminal-function-call.chunks.txt")
    assert items[0][1]["operations"][1] == {
        "action": "add",
        "description": "Ripe yellow banana",
        "itemid": "banana_001",
        "price": 0.3,
    }
    recipe = arguments("google-vertex-stream-tool-call-arguments-nested.1.chunks.txt")[0][1]["recipe"]
    assert (len(recipe["ingredients"]), len(recipe["steps"]), recipe["name"]) == (10, 10, "Lasagna")


SIGNED = ModelResponse(
    protocol="openai_responses",
    id="resp_1",
    model="gpt",
    candidates=[
        Candidate(
            turn=turn(
                "assistant",
                Reasoning(id="rs_1", summary=["A", "B"], opaque=Opaque("openai.encrypted", "gAAA")),
                Reasoning(opaque=Opaque("openai.encrypted", "gBBB")),
                Text(text="Hi 🎉"),
                ToolCall(call_id="call_1", name="f", arguments='{"a":1}'),
            ),
            finish=Finish(reason="tool_use"),
        )
    ],
    usage=Usage(input=1, output=2),
)


def sealed(carrier: Carrier) -> list[StreamEvent]:
    sealing = SealingStream(carrier, "tenant", GEMINI.slots)
    return [event for before in unfold(SIGNED) for event in sealing.feed(before)]


def generate(client: genai.Client, config: types.GenerateContentConfig | None = None) -> Any:
    """Ask for a complete answer (the client's own signature names types of an optional package)."""
    contents = types.Content(role="user", parts=[types.Part(text="hi")])
    ask: Any = client.models
    return ask.generate_content(model="m", contents=contents, config=config)


def client(body: bytes, content_type: str, seen: list[Json]) -> genai.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append({"url": str(request.url), "body": json.loads(request.content)})
        return httpx.Response(200, content=body, headers={"content-type": content_type})

    options = types.HttpOptions(
        base_url="http://gateway", httpx_client=httpx.Client(transport=httpx.MockTransport(answer))
    )
    return genai.Client(api_key="k", http_options=options)


def test_foreign_state_survives_a_chat_session_of_the_official_client() -> None:
    carrier = Carrier({0: b"0" * 32}, 0)
    encoder = GEMINI.stream_encoder(msgspec.structs.replace(foreign(), stream="sse"))
    seen: list[Json] = []
    body = b"".join(encoder.feed(event) for event in sealed(carrier))
    chat = client(body, GEMINI.stream_content_type("sse"), seen).chats.create(model="m")

    session: Any = chat
    said = [chunk.text or "" for chunk in session.send_message_stream("hi")]
    list(session.send_message_stream("and?"))

    assert "".join(said) == "Hi 🎉"
    assert "streamGenerateContent?alt=sse" in seen[1]["url"]
    request, losses = open_request(join_continued(decode(seen[1]["body"])), carrier, "tenant")
    original = SIGNED.candidates[0].turn.parts
    assert losses == []
    restored = [part for part in request.turns[1].parts if part != Text(text="") and not _is_padding(part)]
    assert [msgspec.structs.replace(part, new_item=False) for part in restored[:2]] == original[:2]
    assert [getattr(part, "text", None) or getattr(part, "arguments", None) for part in restored[2:]] == [
        "Hi 🎉",
        '{"a":1}',
    ]


def _is_padding(part: object) -> bool:
    return isinstance(part, Text) and not part.text and part.opaque is None


def test_the_official_client_reads_a_complete_answer() -> None:
    carrier = Carrier({0: b"0" * 32}, 0)
    whole = fold(sealed(carrier), "openai_responses")
    seen: list[Json] = []

    read = generate(client(GEMINI.encode_response(whole, foreign()).wire.body, "application/json", seen))

    assert read.text == "Hi 🎉"
    assert read.function_calls is not None and read.function_calls[0].args == {"a": 1}
    assert read.usage_metadata is not None and read.usage_metadata.total_token_count == 3


def test_the_official_clients_requests_are_understood() -> None:
    seen: list[Json] = []
    body = json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "x"}]}}]}).encode()
    generate(
        client(body, "application/json", seen),
        types.GenerateContentConfig(
            system_instruction="S",
            temperature=0.5,
            max_output_tokens=9,
            response_mime_type="application/json",
            response_json_schema={"type": "object"},
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=99),
            tools=[
                types.Tool(
                    function_declarations=[
                        types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"})
                    ]
                )
            ],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(
                    mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["f"]
                )
            ),
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        ),
    )

    request = decode(seen[0]["body"])

    assert request.ext is None
    assert (request.max_output, request.sampling.temperature) == (9, 0.5)
    assert request.thinking is not None and (request.thinking.budget, request.thinking.show) == (99, "auto")
    assert request.tool_choice is not None and request.tool_choice.names == ["f"]
    assert request.output is not None and request.output.kind == "schema"
    assert request.turns[0].parts == [Text(text="S")]
    assert request.tools[0].ext is None


@pytest.mark.parametrize("mode", ["sse", "json_array"])
def test_our_own_decoder_reads_our_own_stream(mode: StreamMode) -> None:
    encoder = GEMINI.stream_encoder(msgspec.structs.replace(foreign(), stream=mode))
    stream = b"".join(encoder.feed(event) for event in unfold(SIGNED))
    frames = GEMINI.frames(GEMINI.stream_content_type(mode))

    events = events_of(*frames.feed(stream))

    assert frames.close() == b""
    assert [type(event.part).__name__ for event in events if isinstance(event, PartStart)] == [
        "Reasoning",
        "Text",
        "ToolCall",
    ]
    assert fold(events, "gemini").usage == Usage(input=1, output=2)
