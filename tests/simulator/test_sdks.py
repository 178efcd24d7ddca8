"""The official SDKs in front of the simulator: conversations of several steps, streamed and whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google_types

from .conftest import Served

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
"""google-genai subclasses aiohttp's session, which aiohttp discourages."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "t": {"type": "number"}},
}
FUNCTION: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
FLAT_FUNCTION: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
TOOL: Any = {"name": "weather", "input_schema": SCHEMA}


@pytest.fixture
async def chat(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{served.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(served: Served) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=served.url, max_retries=0) as client:
        yield client


@pytest.fixture
async def gemini(served: Served) -> AsyncIterator[Any]:
    client = genai.Client(api_key="k", http_options=google_types.HttpOptions(base_url=served.url))
    yield client.aio
    await client.aio.aclose()
    client.close()


async def test_chat_calls_a_tool_and_reads_its_answer(chat: openai.AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "call both"}]
    first = await chat.chat.completions.create(model="m", messages=messages, tools=[FUNCTION])
    message = first.choices[0].message
    assert message.tool_calls is not None
    assert [call.function.arguments for call in message.tool_calls if call.type == "function"] == [
        '{"city":"text","t":1.50}',
        '{"city":"text2","t":1.50}',
    ]
    messages.append(message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": f"result {place}"}
        for place, call in reversed(list(enumerate(message.tool_calls)))
    ]
    second = await chat.chat.completions.create(model="m", messages=messages, tools=[FUNCTION])
    assert second.choices[0].message.content == "The tool answered: result 0; result 1"
    assert second.choices[0].finish_reason == "stop"


async def test_chats_stream_helper_accumulates_the_same_message(chat: openai.AsyncOpenAI) -> None:
    async with chat.chat.completions.stream(
        model="m",
        messages=[{"role": "user", "content": "call it"}],
        tools=[FUNCTION],
        reasoning_effort="low",
        stream_options={"include_usage": True},
    ) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.arguments == '{"city":"text","t":1.50}'
    assert (final.choices[0].message.model_extra or {})["reasoning_content"] == "Thinking about: call it"
    assert final.usage is not None
    assert final.usage.total_tokens == final.usage.prompt_tokens + final.usage.completion_tokens


async def test_chat_without_include_usage_reports_none(chat: openai.AsyncOpenAI) -> None:
    stream = await chat.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_chat_notices_a_thought_that_is_given_back(chat: openai.AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    first = await chat.chat.completions.create(model="m", messages=messages, reasoning_effort="high")
    messages += [first.choices[0].message, {"role": "user", "content": "and"}]
    second = await chat.chat.completions.create(model="m", messages=messages)
    assert second.choices[0].message.content == "You said: and [turn 2] [kept 1 thought]"


async def test_embeddings_are_the_same_in_both_encodings(chat: openai.AsyncOpenAI) -> None:
    packed = await chat.embeddings.create(model="m", input=["one", "two"])
    plain = await chat.embeddings.create(model="m", input=["one", "two"], encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data]
    assert sum(value * value for value in plain.data[0].embedding) == pytest.approx(1.0)


async def test_models_are_listed_for_every_sdk(
    chat: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, gemini: Any
) -> None:
    assert (await chat.models.list()).data[0].id == "gpt-simulated"
    assert (await claude.models.list()).data[1].id == "claude-simulated"
    assert (await gemini.models.list())[2].name == "models/gemini-3-simulated"
    assert (await chat.models.retrieve("m")).id == "m"
    assert (await claude.models.retrieve("m")).id == "m"
    assert (await gemini.models.get(model="m")).name == "models/m"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_responses_continue_a_thought(chat: openai.AsyncOpenAI, streamed: bool) -> None:
    items: list[Any] = [{"role": "user", "content": "call it"}]
    asked: Any = {
        "model": "m",
        "tools": [FLAT_FUNCTION],
        "store": False,
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
    }
    if streamed:
        async with chat.responses.stream(input=items, **asked) as stream:
            async for _ in stream:
                pass
            first = cast(Any, await stream.get_final_response())
    else:
        first = cast(Any, await chat.responses.create(input=items, **asked))
    thought, called = first.output
    assert thought.summary[0].text == "Thinking about: call it"
    items += [
        thought.model_dump(exclude_none=True),
        called.model_dump(exclude_none=True, exclude={"parsed_arguments"}),
        {"type": "function_call_output", "call_id": called.call_id, "output": "sunny"},
    ]
    second = cast(Any, await chat.responses.create(input=items, **asked))
    assert second.output_text == "The tool answered: sunny [kept 1 thought]"
    items[1]["summary"][0]["text"] = "Something else"
    with pytest.raises(openai.BadRequestError) as refused:
        await chat.responses.create(input=items, **asked)
    assert refused.value.code == "invalid_encrypted_content"


async def test_responses_without_storage_do_not_know_a_thoughts_id(chat: openai.AsyncOpenAI) -> None:
    items: Any = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": "hi"},
    ]
    with pytest.raises(openai.NotFoundError):
        await chat.responses.create(model="m", input=items, store=False)
    answer = await chat.responses.create(model="m", input=items)
    assert answer.output_text == "You said: hi [turn 2]"


async def test_a_free_text_tool_is_called_with_text(chat: openai.AsyncOpenAI) -> None:
    answer: Any = await chat.responses.create(
        model="m", input="call sql", tools=[{"type": "custom", "name": "sql"}]
    )
    assert (answer.output[0].type, answer.output[0].input) == ("custom_tool_call", "text")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_messages_continue_a_thought(claude: anthropic.AsyncAnthropic, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "call it"}]
    asked: Any = {
        "model": "m",
        "max_tokens": 4000,
        "tools": [TOOL],
        "thinking": {"type": "adaptive"},
    }
    if streamed:
        async with claude.messages.stream(messages=messages, **asked) as stream:
            first = cast(Any, await stream.get_final_message())
    else:
        first = cast(Any, await claude.messages.create(messages=messages, **asked))
    thought, use = first.content
    assert thought.thinking == "Thinking about: call it"
    assert use.input == {"city": "text", "t": 1.5}
    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "boom", "is_error": True}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = cast(Any, await claude.messages.create(messages=messages, **asked))
    assert second.content[-1].text == "The tool answered: boom (error) [kept 1 thought]"
    altered = thought.model_dump() | {"thinking": "Something else"}
    messages[1] = {"role": "assistant", "content": [altered, use]}
    with pytest.raises(
        anthropic.BadRequestError, match=r"messages\.1\.content\.0: Invalid `signature` in `thinking` block"
    ):
        await claude.messages.create(messages=messages, **asked)


async def test_another_model_ignores_a_thought_and_another_account_refuses_it(
    served: Served, claude: anthropic.AsyncAnthropic
) -> None:
    asked: Any = {"max_tokens": 4000, "thinking": {"type": "adaptive"}}
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    first = cast(Any, await claude.messages.create(model="m", messages=messages, **asked))
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "and"}]
    other = cast(Any, await claude.messages.create(model="n", messages=messages, **asked))
    assert other.content[-1].text == "You said: and [turn 2]"
    served.app.settings = type(served.app.settings)(secret="another account")
    with pytest.raises(anthropic.BadRequestError):
        await claude.messages.create(model="m", messages=messages, **asked)


async def test_omitted_thinking_keeps_its_signature(claude: anthropic.AsyncAnthropic) -> None:
    async with claude.messages.stream(
        model="m",
        max_tokens=4000,
        messages=[{"role": "user", "content": "hi"}],
        thinking={"type": "adaptive", "display": "omitted"},
    ) as stream:
        message: Any = await stream.get_final_message()
    assert message.content[0].thinking == ""
    assert message.content[0].signature


async def test_the_tokens_of_messages_are_counted(claude: anthropic.AsyncAnthropic) -> None:
    counted = await claude.messages.count_tokens(model="m", messages=[{"role": "user", "content": "a b"}])
    assert counted.input_tokens == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_gemini_continues_signed_calls(gemini: Any, streamed: bool) -> None:
    tool = google_types.Tool(
        function_declarations=[
            google_types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA),
            google_types.FunctionDeclaration(name="time"),
        ]
    )
    config = google_types.GenerateContentConfig(
        tools=[tool],
        automatic_function_calling=google_types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=google_types.ThinkingConfig(include_thoughts=True),
    )
    chat = gemini.chats.create(model="gemini-3-pro", config=config)
    parts: list[Any] = []
    if streamed:
        async for chunk in await chat.send_message_stream("call both"):
            parts += chunk.candidates[0].content.parts
    else:
        parts += (await chat.send_message("call both")).candidates[0].content.parts
    calls = [part for part in parts if part.function_call]
    assert [part.function_call.name for part in calls] == ["weather", "time"]
    assert [bool(part.thought_signature) for part in calls] == [True, False]
    assert all(part.function_call.id for part in calls)
    answers = [
        google_types.Part(
            function_response=google_types.FunctionResponse(
                id=part.function_call.id,
                name=part.function_call.name,
                response={"output": part.function_call.name},
            )
        )
        for part in reversed(calls)
    ]
    reply = await chat.send_message(answers)
    assert reply.text == "The tool answered: weather; time [kept 1 thought]"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_gemini_chat_session_gives_text_signatures_back(gemini: Any, streamed: bool) -> None:
    chat = gemini.chats.create(model="gemini-3-pro")
    if streamed:
        async for _ in await chat.send_message_stream("hello there"):
            pass
    else:
        await chat.send_message("hello there")
    assert (await chat.send_message("and")).text == "You said: and [turn 2] [kept 1 thought]"


async def test_gemini_refuses_an_altered_signature(gemini: Any) -> None:
    contents: Any = [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "x", "thought_signature": b"not ours"}]},
        {"role": "user", "parts": [{"text": "hi"}]},
    ]
    with pytest.raises(google_errors.ClientError, match="Corrupted thought signature"):
        await gemini.models.generate_content(model="gemini-3-pro", contents=contents)


async def test_gemini_counts_and_embeds(gemini: Any) -> None:
    counted = await gemini.models.count_tokens(model="m", contents="one two three")
    embedded = await gemini.models.embed_content(
        model="m", contents=["one", "two"], config={"output_dimensionality": 8}
    )
    assert counted.total_tokens == 3
    assert [len(one.values) for one in embedded.embeddings] == [8, 8]


async def test_gemini_answers_with_a_choice(gemini: Any) -> None:
    config = google_types.GenerateContentConfig(
        response_mime_type="text/x.enum", response_schema={"type": "STRING", "enum": ["red", "blue"]}
    )
    reply = await gemini.models.generate_content(model="m", contents="which?", config=config)
    assert reply.text == "red"


async def test_refusals_reach_the_sdks_as_their_own_errors(
    chat: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, gemini: Any
) -> None:
    header = {"x-sim-fault": "status=429; retry-after=3"}
    with pytest.raises(openai.RateLimitError) as slow:
        await chat.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], extra_headers=header
        )
    with pytest.raises(anthropic.RateLimitError) as slower:
        await claude.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}], extra_headers=header
        )
    config = google_types.GenerateContentConfig(http_options=google_types.HttpOptions(headers=header))
    with pytest.raises(google_errors.ClientError) as slowest:
        await gemini.models.generate_content(model="m", contents="hi", config=config)
    assert slow.value.code == "rate_limit_exceeded"
    assert slow.value.response.headers["retry-after"] == "3"
    assert slower.value.type == "rate_limit_error"
    assert slowest.value.status == "RESOURCE_EXHAUSTED"
    assert "3s" in str(cast(object, slowest.value.details))
