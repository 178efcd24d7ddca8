"""The official SDKs as judges: what an ordinary program notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import openai
from google import genai
from msgspec import Struct

from tests.faults.asking import PATIENCE, TOOL_SCHEMA, Question

Pieces = Iterator[tuple[str, bool]]
"""Text and whether the answer said that it is over."""


class Heard(Struct, kw_only=True):
    """What an SDK made of an answer."""

    text: str = ""
    finished: bool = False
    error: Exception | None = None


class Sdks:
    """One client of each SDK, without retries of their own."""

    def __init__(self, url: str, key: str) -> None:
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=PATIENCE)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=PATIENCE)
        options: Any = {"base_url": url, "timeout": int(PATIENCE * 1000)}
        self.google = genai.Client(api_key=key, http_options=options)

    def close(self) -> None:
        """Close their connections."""
        self.openai.close()
        self.anthropic.close()
        self.google.close()

    def ask(self, question: Question, released: Callable[[str], None]) -> Heard:
        """Ask once, and read the answer to its end."""
        heard = Heard()
        asked = {
            "openai_chat": self._chat,
            "openai_responses": self._responses,
            "anthropic": self._messages,
            "gemini": self._gemini,
        }[question.protocol]
        try:
            for text, over in asked(question):
                heard.text += text
                heard.finished = heard.finished or over
                if text and question.nonce in heard.text:
                    released(question.nonce)
        except Exception as error:  # each SDK has its own
            heard.error = error
        return heard

    def _chat(self, question: Question) -> Pieces:
        asked: dict[str, Any] = {
            "model": question.model,
            "messages": [{"role": "user", "content": question.prompt}],
        }
        if question.tools:
            function = {"name": "f", "parameters": TOOL_SCHEMA}
            asked["tools"] = [{"type": "function", "function": function}]
        if not question.stream:
            choice = self.openai.chat.completions.create(**asked).choices[0]
            yield choice.message.content or "", bool(choice.finish_reason)
            return
        with self.openai.chat.completions.create(**asked, stream=True) as chunks:
            for chunk in chunks:
                for choice in chunk.choices:
                    yield choice.delta.content or "", bool(choice.finish_reason)

    def _responses(self, question: Question) -> Pieces:
        asked: dict[str, Any] = {"model": question.model, "input": question.prompt}
        if question.tools:
            asked["tools"] = [{"type": "function", "name": "f", "parameters": TOOL_SCHEMA, "strict": False}]
        if not question.stream:
            done = self.openai.responses.create(**asked)
            yield done.output_text, done.status == "completed"
            return
        with self.openai.responses.create(**asked, stream=True) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    yield event.delta, False
                yield "", event.type == "response.completed"

    def _messages(self, question: Question) -> Pieces:
        asked: dict[str, Any] = {
            "model": question.model,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": question.prompt}],
        }
        if question.tools:
            asked["tools"] = [{"name": "f", "input_schema": TOOL_SCHEMA}]
        if not question.stream:
            done = self.anthropic.messages.create(**asked)
            text = "".join(block.text for block in done.content if block.type == "text")
            yield text, bool(done.stop_reason)
            return
        with self.anthropic.messages.create(**asked, stream=True) as events:
            for event in events:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text, False
                yield "", event.type == "message_stop"

    def _gemini(self, question: Question) -> Pieces:
        config: Any = None
        if question.tools:
            config = {
                "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": TOOL_SCHEMA}]}]
            }
        asked: dict[str, Any] = {"model": question.model, "contents": question.prompt, "config": config}
        models = self.google.models
        chunks = (
            models.generate_content_stream(**asked) if question.stream else [models.generate_content(**asked)]
        )
        for chunk in chunks:
            over = any(candidate.finish_reason for candidate in chunk.candidates or ())
            yield chunk.text or "", over


@contextmanager
def sdks(url: str, key: str) -> Iterator[Sdks]:
    """The SDKs, closed at the end."""
    clients = Sdks(url, key)
    try:
        yield clients
    finally:
        clients.close()
