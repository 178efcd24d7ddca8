"""Conversations held through the official SDKs, each in the way its documentation shows.

A session keeps the history in the SDK's own objects: what the model answered goes back as the object in which the
SDK handed it out.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Protocol

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types as google

from tests.conformance.native_answers import chat_usage, gemini_usage, messages_usage, responses_usage
from tests.conformance.neutral import Answer, Item, Result, Wishes, joined, write_json
from tests.conformance.tape import Tape

Image = tuple[str, bytes]
_DEFAULT_LIMIT = 4000


class Sdks:
    """The SDKs' clients, all over one recording transport."""

    def __init__(self, url: str, key: str) -> None:
        self.tape = Tape()
        self._http = httpx2.Client(transport=self.tape)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=self._http)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=self._http)
        self.google = genai.Client(
            api_key=key, http_options=google.HttpOptions(base_url=url, httpx_client=self._http)
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Session(Protocol):
    """One conversation with one model."""

    def user(self, text: str, image: Image | None = None) -> None:
        """The user says something."""
        ...

    def results(self, results: Sequence[Result]) -> None:
        """The caller's functions have answered."""
        ...

    def ask(self, *, stream: bool) -> Answer:
        """The model's answer, as the SDK shows it; it becomes part of the history."""
        ...


def session(protocol: str, sdks: Sdks, model: str, wishes: Wishes) -> Session:
    """A conversation through the SDK of a protocol."""
    match protocol:
        case "openai_chat":
            return ChatSession(sdks.openai, model, wishes)
        case "openai_responses":
            return ResponsesSession(sdks.openai, model, wishes)
        case "anthropic":
            return MessagesSession(sdks.anthropic, model, wishes)
        case _:
            return GeminiSession(sdks.google, model, wishes)


def _data_url(image: Image) -> str:
    return f"data:{image[0]};base64,{b64encode(image[1]).decode()}"


def _as_text(value: str | dict[str, Any]) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _said(text: str) -> Item:
    return Item("assistant", "text", text)


def _thought(text: str) -> Item:
    return Item("assistant", "thought", text)


class ChatSession:
    """`client.chat.completions`: `create`, or `stream` with its accumulator."""

    def __init__(self, client: openai.OpenAI, model: str, wishes: Wishes) -> None:
        self._client = client.chat.completions
        self._messages: list[Any] = []
        self._asked: dict[str, Any] = {"model": model, "messages": self._messages}
        if wishes.system is not None:
            self._messages.append({"role": "system", "content": wishes.system})
        if wishes.tools:
            functions = [{"name": tool.name, "parameters": tool.schema} for tool in wishes.tools]
            self._asked["tools"] = [{"type": "function", "function": one} for one in functions]
        if wishes.thinking:
            self._asked["reasoning_effort"] = "high"
        if wishes.schema is not None:
            form = {"name": "answer", "schema": wishes.schema, "strict": True}
            self._asked["response_format"] = {"type": "json_schema", "json_schema": form}
        if wishes.max_tokens is not None:
            self._asked["max_completion_tokens"] = wishes.max_tokens
        if wishes.stop is not None:
            self._asked["stop"] = [wishes.stop]

    def user(self, text: str, image: Image | None = None) -> None:
        """See Session."""
        content: Any = text
        if image is not None:
            shown = {"type": "image_url", "image_url": {"url": _data_url(image)}}
            content = [{"type": "text", "text": text}, shown]
        self._messages.append({"role": "user", "content": content})

    def results(self, results: Sequence[Result]) -> None:
        """See Session."""
        for call, value in results:
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": _as_text(value)})

    def ask(self, *, stream: bool) -> Answer:
        """See Session."""
        if stream:
            options: Any = {"include_usage": True}
            with self._client.stream(**self._asked, stream_options=options) as events:
                # `get_final_completion` raises for an answer that was cut by its limit
                done: Any = events.until_done().current_completion_snapshot
        else:
            done = self._client.create(**self._asked)
        choice = done.choices[0]
        message = choice.message
        # the helper's own additions are not members of a message
        parsed: Any = {
            "parsed": True,
            "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}},
        }
        self._messages.append(message.model_dump(exclude_unset=True, exclude=parsed) if stream else message)
        items = [_thought((message.model_extra or {}).get("reasoning_content") or "")]
        items.append(_said(message.content or ""))
        for call in message.tool_calls or ():
            items.append(
                Item("assistant", "call", call.function.arguments, id=call.id, name=call.function.name)
            )
        return Answer(
            id=done.id,
            items=joined(items),
            finish=choice.finish_reason,
            usage=chat_usage(done.usage.model_dump()),
        )


class ResponsesSession:
    """`client.responses`: `create`, or `stream`; the output items are appended to the input."""

    def __init__(self, client: openai.OpenAI, model: str, wishes: Wishes) -> None:
        self._client = client.responses
        self._input: list[Any] = []
        self._asked: dict[str, Any] = {"model": model, "input": self._input, "store": False}
        self._asked["include"] = ["reasoning.encrypted_content"]
        if wishes.system is not None:
            self._asked["instructions"] = wishes.system
        if wishes.tools:
            self._asked["tools"] = [
                {"type": "function", "name": tool.name, "parameters": tool.schema, "strict": False}
                for tool in wishes.tools
            ]
        if wishes.thinking:
            self._asked["reasoning"] = {"effort": "high", "summary": "auto"}
        if wishes.schema is not None:
            form = {"type": "json_schema", "name": "answer", "schema": wishes.schema, "strict": True}
            self._asked["text"] = {"format": form}
        if wishes.max_tokens is not None:
            self._asked["max_output_tokens"] = wishes.max_tokens
        assert wishes.stop is None, "Responses has no stop sequences"

    def user(self, text: str, image: Image | None = None) -> None:
        """See Session."""
        content: Any = text
        if image is not None:
            shown = {"type": "input_image", "image_url": _data_url(image), "detail": "auto"}
            content = [{"type": "input_text", "text": text}, shown]
        self._input.append({"role": "user", "content": content})

    def results(self, results: Sequence[Result]) -> None:
        """See Session."""
        for call, value in results:
            self._input.append(
                {"type": "function_call_output", "call_id": call.id, "output": _as_text(value)}
            )

    def ask(self, *, stream: bool) -> Answer:
        """See Session."""
        if stream:
            with self._client.stream(**self._asked) as events:
                *_, last = events  # `get_final_response` knows no incomplete ones
                done: Any = getattr(last, "response", None)
        else:
            done = self._client.create(**self._asked)
        self._input += done.output
        items: list[Item] = []
        for item in done.output:
            match item.type:
                case "reasoning":
                    texts = [part.text for part in (*item.summary, *(item.content or ()))]
                    items.append(_thought("".join(texts)))
                case "message":
                    items += [_said(part.text) for part in item.content]
                case _:
                    items.append(Item("assistant", "call", item.arguments, id=item.call_id, name=item.name))
        cut = done.incomplete_details
        return Answer(
            id=done.id,
            items=joined(items),
            finish=done.status + (f":{cut.reason}" if cut else ""),
            usage=responses_usage(done.usage.model_dump()),
        )


class MessagesSession:
    """`client.messages`: `create`, or `stream` with its accumulator."""

    def __init__(self, client: anthropic.Anthropic, model: str, wishes: Wishes) -> None:
        self._client = client.messages
        self._messages: list[Any] = []
        limit = wishes.max_tokens or _DEFAULT_LIMIT
        self._asked: dict[str, Any] = {"model": model, "messages": self._messages, "max_tokens": limit}
        if wishes.system is not None:
            block: Any = {"type": "text", "text": wishes.system, "cache_control": {"type": "ephemeral"}}
            self._asked["system"] = [block]
        if wishes.tools:
            self._asked["tools"] = [{"name": tool.name, "input_schema": tool.schema} for tool in wishes.tools]
        output: dict[str, Any] = {}
        if wishes.thinking:
            self._asked["thinking"] = {"type": "adaptive"}
            output["effort"] = "high"
        if wishes.schema is not None:
            output["format"] = {"type": "json_schema", "schema": wishes.schema}
        if output:
            self._asked["output_config"] = output
        if wishes.stop is not None:
            self._asked["stop_sequences"] = [wishes.stop]

    def user(self, text: str, image: Image | None = None) -> None:
        """See Session."""
        content: Any = text
        if image is not None:
            source = {"type": "base64", "media_type": image[0], "data": b64encode(image[1]).decode()}
            content = [{"type": "text", "text": text}, {"type": "image", "source": source}]
        self._messages.append({"role": "user", "content": content})

    def results(self, results: Sequence[Result]) -> None:
        """See Session."""
        blocks = [
            {"type": "tool_result", "tool_use_id": call.id, "content": _as_text(value)}
            for call, value in results
        ]
        self._messages.append({"role": "user", "content": blocks})

    def ask(self, *, stream: bool) -> Answer:
        """See Session."""
        if stream:
            with self._client.stream(**self._asked) as events:
                done: Any = events.get_final_message()
        else:
            done = self._client.create(**self._asked)
        self._messages.append({"role": "assistant", "content": done.content})
        items: list[Item] = []
        for block in done.content:
            match block.type:
                case "thinking":
                    items.append(_thought(block.thinking))
                case "text":
                    items.append(_said(block.text))
                case _:
                    items.append(
                        Item("assistant", "call", write_json(block.input), id=block.id, name=block.name)
                    )
        return Answer(
            id=done.id,
            items=joined(items),
            finish=done.stop_reason,
            stop_sequence=done.stop_sequence,
            usage=messages_usage(done.usage.model_dump()),
        )


class GeminiSession:
    """`client.chats`, which keeps the history itself."""

    def __init__(self, client: genai.Client, model: str, wishes: Wishes) -> None:
        asked: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
        if wishes.system is not None:
            asked["system_instruction"] = wishes.system
        if wishes.tools:
            declared = [{"name": tool.name, "parameters_json_schema": tool.schema} for tool in wishes.tools]
            asked["tools"] = [{"function_declarations": declared}]
        if wishes.thinking:
            asked["thinking_config"] = {"include_thoughts": True, "thinking_level": "HIGH"}
        if wishes.schema is not None:
            asked["response_mime_type"] = "application/json"
            asked["response_json_schema"] = wishes.schema
        if wishes.max_tokens is not None:
            asked["max_output_tokens"] = wishes.max_tokens
        if wishes.stop is not None:
            asked["stop_sequences"] = [wishes.stop]
        self._chat = client.chats.create(model=model, config=google.GenerateContentConfig(**asked))
        self._message: list[Any] = []

    def user(self, text: str, image: Image | None = None) -> None:
        """See Session."""
        self._message.append(google.Part.from_text(text=text))
        if image is not None:
            self._message.append(google.Part.from_bytes(data=image[1], mime_type=image[0]))

    def results(self, results: Sequence[Result]) -> None:
        """See Session."""
        for call, value in results:
            response = {"output": value} if isinstance(value, str) else value
            answer = google.FunctionResponse(id=call.id, name=call.name, response=response)
            self._message.append(google.Part(function_response=answer))

    def ask(self, *, stream: bool) -> Answer:
        """See Session."""
        message, self._message = self._message, []
        chunks: list[Any] = (
            list(self._chat.send_message_stream(message)) if stream else [self._chat.send_message(message)]
        )
        items: list[Item] = []
        finish = ""
        for chunk in chunks:
            candidate = chunk.candidates[0]
            for part in (candidate.content and candidate.content.parts) or ():
                if call := part.function_call:
                    arguments = write_json(call.args)
                    items.append(Item("assistant", "call", arguments, id=call.id, name=call.name))
                else:
                    items.append(_thought(part.text) if part.thought else _said(part.text or ""))
            if candidate.finish_reason is not None:
                finish = candidate.finish_reason.value
        usage = chunks[-1].usage_metadata.model_dump(by_alias=True)
        return Answer(
            id=chunks[-1].response_id, items=joined(items), finish=finish, usage=gemini_usage(usage)
        )
