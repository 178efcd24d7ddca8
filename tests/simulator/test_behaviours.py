from __future__ import annotations

from typing import Any

import pytest

from aiclient2api.simulator import Simulator

from .dialects import CHAT, DIALECTS, GEMINI, MESSAGES, RESPONSES, SCHEMA, Ask, Dialect, Seen
from .rig import call, simulator

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQ="
IMAGES: dict[str, Any] = {
    "openai_chat": [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ],
    "openai_responses": [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ],
    "anthropic": [
        {"type": "text", "text": "look"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ],
    "gemini": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
}
DOCUMENTS: dict[str, Any] = {
    "openai_chat": [
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}}
    ],
    "openai_responses": [
        {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}
    ],
    "anthropic": [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    ],
    "gemini": [{"inlineData": {"mimeType": "application/pdf", "data": PDF}}],
}
LINKS: dict[str, Any] = {
    "openai_chat": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
    "openai_responses": [{"type": "input_image", "image_url": "https://example.com/a.png"}],
    "anthropic": [{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}],
    "gemini": [{"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}],
}
HISTORY = [("user", "one two"), ("assistant", "three")]
ARGUMENTS = '{"city":"text","days":1.5}'

CASES: dict[str, tuple[Ask, Seen]] = {
    "the last user text": (
        {"prompt": "héllo 🌍 world"},
        Seen(text="You said: héllo 🌍 world", finish="stop", usage=(3, 0, 0, 5, 0)),
    ),
    "the system text": (
        {"prompt": "hi", "system": "be brief"},
        Seen(text="You said: hi [system: be brief]", finish="stop", usage=(3, 0, 0, 6, 0)),
    ),
    "the turn and its cached history": (
        {"prompt": "hi", "history": HISTORY},
        Seen(text="You said: hi [turn 2]", finish="stop", usage=(4, 2, 0, 5, 0)),
    ),
    "a thought": (
        {"prompt": "hi", "thinking": True},
        Seen(text="You said: hi", thinking="Thinking about: hi", finish="stop", usage=(1, 0, 0, 6, 3)),
    ),
    "a call when the prompt asks": (
        {"prompt": "please call it", "tools": ["weather"]},
        Seen(calls=(("weather", ARGUMENTS),), finish="tool_use"),
    ),
    "a call when the prompt names the tool": (
        {"prompt": "the time, please", "tools": ["weather", "time"]},
        Seen(calls=(("time", ARGUMENTS),), finish="tool_use"),
    ),
    "no call without a reason": (
        {"prompt": "hi", "tools": ["weather"]},
        Seen(text="You said: hi", finish="stop"),
    ),
    "no call when it is forbidden": (
        {"prompt": "call it", "tools": ["weather"], "choice": "none"},
        Seen(text="You said: call it", finish="stop"),
    ),
    "a call when one is required": (
        {"prompt": "hi", "tools": ["weather"], "choice": "required"},
        Seen(calls=(("weather", ARGUMENTS),), finish="tool_use"),
    ),
    "the forced tool": (
        {"prompt": "weather", "tools": ["weather", "time"], "choice": "force", "forced": "time"},
        Seen(calls=(("time", ARGUMENTS),), finish="tool_use"),
    ),
    "two parallel calls": (
        {"prompt": "call both", "tools": ["weather", "time"]},
        Seen(calls=(("weather", ARGUMENTS), ("time", ARGUMENTS)), finish="tool_use"),
    ),
    "the same tool twice": (
        {"prompt": "call in parallel", "tools": ["weather"]},
        Seen(
            calls=(("weather", ARGUMENTS), ("weather", ARGUMENTS.replace("text", "text2"))),
            finish="tool_use",
        ),
    ),
    "a thought before a call": (
        {"prompt": "call it", "tools": ["weather"], "thinking": True},
        Seen(calls=(("weather", ARGUMENTS),), thinking="Thinking about: call it", finish="tool_use"),
    ),
    "an image": (
        {"prompt": "look", "content": IMAGES},
        Seen(text="I see 1 image (image/png, 70 bytes). You said: look", finish="stop"),
    ),
    "a document": (
        {"prompt": "", "content": DOCUMENTS},
        Seen(text="I see 1 document (application/pdf, 8 bytes)", finish="stop"),
    ),
    "an address": (
        {"prompt": "", "content": LINKS},
        Seen(text="I see 1 image (url https://example.com/a.png)", finish="stop"),
    ),
    "a document that fits a schema": (
        {"prompt": "hi", "schema": SCHEMA},
        Seen(text='{"city":"text","days":1.50}', finish="stop"),
    ),
    "a cut answer": (
        {"prompt": "a b c d e f g h i j k l m n o p q r s t", "max_tokens": 16},
        Seen(text="You said: a b c d e f g h i j k l m n", finish="length"),
    ),
    "a refusal": (
        {"prompt": "please refuse"},
        Seen(refusal="I cannot help with that.", finish="refusal"),
    ),
}


def expected(seen: Seen, dialect: Dialect) -> Seen:
    """OpenAI's arguments are text and keep the spelling of numbers; the others are read as JSON here."""
    if dialect in (MESSAGES, GEMINI):
        return seen
    return seen._replace(calls=tuple((name, text.replace("1.5}", "1.50}")) for name, text in seen.calls))


async def answer(app: Simulator, dialect: Dialect, ask: Ask, *, stream: bool) -> Seen:
    response = await call(
        app, dialect.url(stream=stream), dialect.request(ask, stream=stream), dialect.headers
    )
    assert response.status == 200, response.body
    return dialect.streamed(response.body) if stream else dialect.whole(response.json)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_shows_what_was_understood(case: str, dialect: Dialect, stream: bool) -> None:
    ask, wanted = CASES[case]
    seen = await answer(simulator(), dialect, ask, stream=stream)
    wanted = expected(wanted, dialect)
    assert seen == (wanted if wanted.usage else wanted._replace(usage=seen.usage))


@pytest.mark.parametrize(
    "dialect", [one for one in DIALECTS if one is not RESPONSES], ids=lambda one: one.name
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_stop_sequence_cuts_before_itself(dialect: Dialect, stream: bool) -> None:
    seen = await answer(simulator(), dialect, {"prompt": "one STOP two", "stop": ["STOP"]}, stream=stream)
    assert seen.text == "You said: one "
    assert seen.finish == ("stop_sequence" if dialect is MESSAGES else "stop")


@pytest.mark.parametrize("dialect", [one for one in DIALECTS if one is not GEMINI], ids=lambda one: one.name)
async def test_parallel_calls_can_be_switched_off(dialect: Dialect) -> None:
    ask = {"prompt": "call both", "tools": ["weather", "time"], "parallel": False}
    seen = await answer(simulator(), dialect, ask, stream=False)
    assert [name for name, _ in seen.calls] == ["weather"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("events", [1, 3, 40])
async def test_the_number_of_text_deltas_can_be_fixed(dialect: Dialect, events: int) -> None:
    app = simulator(events=events)
    response = await call(
        app,
        dialect.url(stream=True),
        dialect.request({"prompt": "one two three"}, stream=True),
        dialect.headers,
    )
    marks = {
        "openai_chat": rb'"delta":{"content"',
        "openai_responses": b'"type":"response.output_text.delta"',
        "anthropic": b"text_delta",
        "gemini": b'"parts":[{"text":"',
    }
    late_signature_part = 1 if dialect is GEMINI else 0
    assert response.body.count(marks[dialect.name]) == events + late_signature_part
    whole = await answer(app, dialect, {"prompt": "one two three"}, stream=False)
    assert dialect.streamed(response.body).text == whole.text


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_the_same_request_has_the_same_answer_and_another_seed_another_id(dialect: Dialect) -> None:
    body = dialect.request({"prompt": "hi"})
    first = await call(simulator(), dialect.url(stream=False), body, dialect.headers)
    again = await call(simulator(), dialect.url(stream=False), body, dialect.headers)
    other = await call(simulator(seed="x"), dialect.url(stream=False), body, dialect.headers)
    member = "responseId" if dialect is GEMINI else "id"
    assert first.body == again.body
    assert first.json[member] != other.json[member]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_long_prompt_is_quoted_in_part(dialect: Dialect) -> None:
    seen = await answer(simulator(), dialect, {"prompt": "x" * 1000}, stream=False)
    assert seen.text == f"You said: {'x' * 200}…"


async def test_candidates_are_told_apart() -> None:
    chat = {"model": "m", "n": 2, "messages": [{"role": "user", "content": "hi"}]}
    gemini = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"candidateCount": 2}}
    first = await call(simulator(), "/v1/chat/completions", chat, {"authorization": "Bearer k"})
    second = await call(simulator(), "/v1/models/m:generateContent", gemini, {"x-goog-api-key": "k"})
    assert [one["message"]["content"] for one in first.json["choices"]] == [
        "You said: hi",
        "You said: hi [candidate 2]",
    ]
    assert [one["content"]["parts"][0]["text"] for one in second.json["candidates"]] == [
        "You said: hi",
        "You said: hi [candidate 2]",
    ]
    assert first.json["usage"]["completion_tokens"] == 8


async def test_a_cache_mark_on_the_first_turn_is_a_cache_write() -> None:
    marked: Any = {"type": "text", "text": "a b"}
    chat = CHAT.request(
        {"prompt": "hi", "system": [marked | {"prompt_cache_breakpoint": {"mode": "explicit"}}]}
    )
    claude = MESSAGES.request({"prompt": "hi", "system": [marked | {"cache_control": {"type": "ephemeral"}}]})
    first = await call(simulator(), CHAT.path, chat, CHAT.headers)
    second = await call(simulator(), MESSAGES.path, claude, MESSAGES.headers)
    assert CHAT.whole(first.json).usage == (3, 0, 2, 6, 0)
    assert MESSAGES.whole(second.json).usage == (3, 0, 2, 6, 0)
    assert second.json["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 2,
        "ephemeral_1h_input_tokens": 0,
    }


async def test_what_the_codex_cli_adds_to_a_request_is_taken() -> None:
    body = RESPONSES.request({"prompt": "hi"}) | {"client_metadata": {"x-codex-installation-id": "1"}}
    answer = await call(simulator(), RESPONSES.path, body, RESPONSES.headers)
    assert RESPONSES.whole(answer.json).text == "You said: hi"
