from __future__ import annotations

from typing import Any, cast, get_args

import pytest
from anthropic import types as anthropic_types
from google.genai import types as google_types
from openai import types as openai_types
from openai.types import chat as chat_types
from openai.types import responses as responses_types
from pydantic import BaseModel, TypeAdapter

from tests.wire_tables import check, check_event, needs_tables

from .dialects import CHAT, DIALECTS, GEMINI, MESSAGES, RESPONSES, Dialect, sse
from .rig import Response, call, simulator
from .test_behaviours import CASES

EXTENSIONS = frozenset({"reasoning_content"})
"""What answers carry beyond the official types, as DeepSeek and vLLM do."""
OUR_MODEL = "claude-opus-5-5"
"""The official type lists model names; the simulator's own is replaced before the comparison."""

TYPES: dict[str, tuple[str, str, Any]] = {
    "openai_chat": ("ChatCompletion", "openai_chat_types", chat_types.ChatCompletion),
    "openai_responses": ("Response", "openai_responses_types", responses_types.Response),
    "anthropic": ("Message", "anthropic_types", anthropic_types.Message),
    "gemini": ("GenerateContentResponse", "gemini_types", google_types.GenerateContentResponse),
}
ANTHROPIC_EVENTS: Any = TypeAdapter(anthropic_types.RawMessageStreamEvent)
RESPONSE_EVENTS: Any = TypeAdapter(responses_types.ResponseStreamEvent)


def _event_types() -> dict[str, str]:
    """Event names with the names of their types."""
    named: dict[str, str] = {}
    for model in vars(responses_types).values():
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__name__.endswith("Event"):
            for tag in get_args(model.model_fields["type"].annotation):
                named[str(tag)] = model.__name__
    return named


RESPONSE_EVENT_TYPES = _event_types()


async def ask(dialect: Dialect, case: str, *, stream: bool) -> Response:
    request = dialect.request(CASES[case][0], stream=stream)
    response = await call(simulator(), dialect.url(stream=stream), request, dialect.headers)
    assert response.status == 200
    return response


def official(dialect: Dialect, value: Any) -> Any:
    """With a model name the closed type of Messages knows."""
    return value | {"model": OUR_MODEL} if dialect is MESSAGES else value


def unknown_members(value: Any, path: str = "$") -> list[str]:
    """Members an SDK's model had no field for, except the known extension."""
    if isinstance(value, list):
        return [
            one
            for index, item in enumerate(cast("list[Any]", value))
            for one in unknown_members(item, f"{path}[{index}]")
        ]
    if not isinstance(value, BaseModel):
        return []
    extras = [f"{path}.{name}" for name in (value.model_extra or {}) if name not in EXTENSIONS]
    return extras + [
        one
        for name in type(value).model_fields
        for one in unknown_members(getattr(value, name), f"{path}.{name}")
    ]


@needs_tables
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_answers_and_requests_are_as_the_tables_list_them(case: str, dialect: Dialect) -> None:
    response = await ask(dialect, case, stream=False)
    type_, table, _ = TYPES[dialect.name]
    assert check(official(dialect, response.json), type_, table, EXTENSIONS) == []


@needs_tables
@pytest.mark.parametrize("case", CASES)
async def test_chat_chunks_are_as_the_tables_list_them(case: str) -> None:
    response = await ask(CHAT, case, stream=True)
    for _, data in sse(response.body)[:-1]:
        assert check(data, "ChatCompletionChunk", "openai_chat_types", EXTENSIONS) == []


@needs_tables
@pytest.mark.parametrize("case", CASES)
async def test_response_events_are_as_the_tables_list_them(case: str) -> None:
    response = await ask(RESPONSES, case, stream=True)
    for name, data in sse(response.body):
        assert name is not None
        assert check(data, RESPONSE_EVENT_TYPES[name], "openai_responses_types") == []
        assert check_event("or", name, set(data)) == []


@needs_tables
@pytest.mark.parametrize("case", CASES)
async def test_message_events_are_as_the_tables_list_them(case: str) -> None:
    types = {
        "message_start": "RawMessageStartEvent",
        "message_delta": "RawMessageDeltaEvent",
        "message_stop": "RawMessageStopEvent",
        "content_block_start": "RawContentBlockStartEvent",
        "content_block_delta": "RawContentBlockDeltaEvent",
        "content_block_stop": "RawContentBlockStopEvent",
    }
    response = await ask(MESSAGES, case, stream=True)
    for name, data in sse(response.body):
        assert name is not None
        if name == "message_start":
            data["message"]["model"] = OUR_MODEL
        if name in types:
            assert check(data, types[name], "anthropic_types") == []
        row, members = name, set(data)
        if name == "content_block_delta":
            row = f"{name}:{data['delta']['type']}"
            members = {"index"} | set(data["delta"])
        assert check_event("am", row, members) == []


@needs_tables
@pytest.mark.parametrize("case", CASES)
async def test_gemini_chunks_are_as_the_tables_list_them(case: str) -> None:
    response = await ask(GEMINI, case, stream=True)
    for _, data in sse(response.body):
        assert check(data, "GenerateContentResponse", "gemini_types") == []


@needs_tables
@pytest.mark.parametrize(
    ("path", "headers", "type_", "table", "members"),
    [
        ("/v1/models", CHAT.headers, "Model", "openai_chat_types", frozenset[str]()),
        ("/v1/models", MESSAGES.headers, "ModelInfo", "anthropic_types", frozenset[str]()),
        (
            "/v1beta/models",
            GEMINI.headers,
            "Model",
            "gemini_types",
            frozenset({"supportedGenerationMethods"}),
        ),
    ],
    ids=["openai", "anthropic", "gemini"],
)
async def test_listed_models_are_as_the_tables_list_them(
    path: str, headers: dict[str, str], type_: str, table: str, members: frozenset[str]
) -> None:
    response = await call(simulator(), path, headers=headers, method="GET")
    listed = response.json.get("data") or response.json["models"]
    assert len(listed) == 4
    for model in listed:
        assert check(model, type_, table, members) == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_the_sdks_strict_types_take_whole_answers(case: str, dialect: Dialect) -> None:
    response = await ask(dialect, case, stream=False)
    model = TYPES[dialect.name][2]
    # Gemini's enums and byte strings are text on the wire, which only the JSON mode of strict validation allows
    value = model.model_validate_json(response.body, strict=True)
    assert unknown_members(value) == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_the_sdks_strict_types_take_every_event(case: str, dialect: Dialect) -> None:
    response = await ask(dialect, case, stream=True)
    for block in response.body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = block.partition(b"data: ")[2]
        if not data or data == b"[DONE]":
            continue
        match dialect.name:
            case "openai_chat":
                value: Any = chat_types.ChatCompletionChunk.model_validate_json(data, strict=True)
            case "openai_responses":
                value = RESPONSE_EVENTS.validate_json(data, strict=True)
            case "anthropic":
                if b'"ping"' in data:
                    continue
                value = ANTHROPIC_EVENTS.validate_json(data, strict=True)
            case _:
                value = google_types.GenerateContentResponse.model_validate_json(data, strict=True)
        assert unknown_members(value) == []


async def test_embeddings_fit_the_sdks_strict_type() -> None:
    body = {"model": "m", "input": ["a", "b c"], "dimensions": 4}
    response = await call(simulator(), "/v1/embeddings", body, CHAT.headers)
    value = openai_types.CreateEmbeddingResponse.model_validate_json(response.body, strict=True)
    assert unknown_members(value) == []
    assert [len(one.embedding) for one in value.data] == [4, 4]
    assert value.usage.total_tokens == 3
