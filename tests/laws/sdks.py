"""The official SDKs as readers: a stream goes in, what they accumulated comes out, as plain JSON."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types as google
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from tests.laws.native import AM, OC, OR
from tests.laws.plain import Doc, dump


class Replay(httpx2.BaseTransport):
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self.body = b""
        self.content_type = "text/event-stream"

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One exchange."""
        return httpx2.Response(200, headers={"content-type": self.content_type}, content=self.body)


@cache
def _clients() -> tuple[Replay, Any, Any, Any]:
    replay = Replay()
    http = httpx2.Client(transport=replay)
    url = "http://127.0.0.1:9"
    return (
        replay,
        openai.OpenAI(base_url=url, api_key="k", max_retries=0, http_client=http),
        anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, http_client=http),
        genai.Client(api_key="k", http_options=google.HttpOptions(base_url=url, httpx_client=http)),
    )


def accumulated(protocol: str, body: bytes) -> Doc:
    """What the SDK's stream helper makes of a stream. Raises what the SDK raises."""
    replay, chat, claude, gemini = _clients()
    replay.body, replay.content_type = body, "text/event-stream"
    said: list[Any] = [{"role": "user", "content": "x"}]
    if protocol == OC:
        with chat.chat.completions.stream(model="m", messages=said) as events:
            done = events.until_done().current_completion_snapshot
    elif protocol == OR:
        with chat.responses.stream(model="m", input="x") as events:
            *_, last = events
            done = last.response
    elif protocol == AM:
        with claude.messages.stream(model="m", max_tokens=9, messages=said) as events:
            done = events.get_final_message()
    else:
        chunks = list(gemini.models.generate_content_stream(model="m", contents="x"))
        return _joined([chunk.model_dump(mode="json", by_alias=True, exclude_none=True) for chunk in chunks])
    return _plain(done)


def _joined(chunks: list[Doc]) -> Doc:
    """Google's SDK joins no chunks: parts one after the other, of everything else the last word."""
    doc: Doc = {}
    candidates: dict[int, Doc] = {}
    for chunk in chunks:
        doc |= {name: value for name, value in chunk.items() if name not in ("candidates", "sdkHttpResponse")}
        for piece in chunk.get("candidates") or ():
            known = candidates.setdefault(piece.get("index", 0), {"content": {"role": "model", "parts": []}})
            known["content"]["parts"] += (piece.get("content") or {}).get("parts") or []
            known |= {name: value for name, value in piece.items() if name != "content"}
    return doc | ({"candidates": [candidates[index] for index in sorted(candidates)]} if candidates else {})


def parsed(protocol: str, doc: Doc) -> Doc:
    """What the SDK makes of a whole answer."""
    if protocol == OC:
        return _plain(ChatCompletion.model_validate_json(dump(doc)))
    if protocol == OR:
        return _plain(Response.model_validate_json(dump(doc)))
    if protocol == AM:
        return _plain(anthropic.types.Message.model_validate_json(dump(doc)))
    found = google.GenerateContentResponse.model_validate_json(dump(doc))
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


def _plain(done: Any) -> Doc:
    with warnings.catch_warnings():  # the SDK's own types do not know every member it kept
        warnings.simplefilter("ignore")
        return done.model_dump(mode="json", exclude_unset=True)
