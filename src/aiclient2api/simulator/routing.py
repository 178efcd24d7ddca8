"""Which operation of which provider a path means, and whose key it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qs, unquote

import msgspec

from aiclient2api.simulator.scenario import ProtocolName
from aiclient2api.simulator.voices import AnthropicVoice, GeminiVoice, OpenAIVoice, Voice

Operation = Literal[
    "chat", "responses", "input_tokens", "embeddings", "messages", "count_tokens",
    "generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents", "models", "model",
]  # fmt: skip

VOICES: dict[ProtocolName, Voice] = {
    "openai_chat": OpenAIVoice(),
    "openai_responses": OpenAIVoice(),
    "anthropic": AnthropicVoice(),
    "gemini": GeminiVoice(),
}

_POSTS: dict[str, tuple[ProtocolName, Operation]] = {
    "/v1/chat/completions": ("openai_chat", "chat"),
    "/v1/embeddings": ("openai_chat", "embeddings"),
    "/v1/responses": ("openai_responses", "responses"),
    "/v1/responses/input_tokens": ("openai_responses", "input_tokens"),
    "/v1/messages": ("anthropic", "messages"),
    "/v1/messages/count_tokens": ("anthropic", "count_tokens"),
}
_METHODS: dict[str, Operation] = {
    "generateContent": "generateContent",
    "streamGenerateContent": "streamGenerateContent",
    "countTokens": "countTokens",
    "embedContent": "embedContent",
    "batchEmbedContents": "batchEmbedContents",
}
_GEMINI_PATH = re.compile(
    r"/v1(?:beta|alpha|beta1)?/(?:.*/)?(?:models|tunedModels)/(?P<model>.+):(?P<method>\w+)"
)
_MODELS_PATH = re.compile(r"/v1(?:beta|alpha|beta1)?/models(?:/(?P<model>.+))?")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes; `operation` None is an address the provider does not have."""

    protocol: ProtocolName
    operation: Operation | None = None
    model: str = ""
    sse: bool = False

    @property
    def voice(self) -> Voice:
        """How this provider words its errors."""
        return VOICES[self.protocol]


def find_route(method: str, path: str, query: str, headers: Mapping[str, str]) -> Route:
    """The route of a request."""
    parameters = parse_qs(query)
    if found := _GEMINI_PATH.fullmatch(path):
        operation = _METHODS.get(found["method"]) if method == "POST" else None
        is_sse = parameters.get("alt") == ["sse"]
        return Route(protocol="gemini", operation=operation, model=unquote(found["model"]), sse=is_sse)
    if found := _MODELS_PATH.fullmatch(path):
        protocol = _lister(path, parameters, headers)
        wanted: Operation = "model" if found["model"] else "models"
        operation = wanted if method == "GET" else None
        return Route(protocol=protocol, operation=operation, model=unquote(found["model"] or ""))
    if path in _POSTS:
        protocol, post = _POSTS[path]
        return Route(protocol=protocol, operation=post if method == "POST" else None)
    return Route(protocol=_guess(path, headers))


def key_of(protocol: ProtocolName, query: str, headers: Mapping[str, str]) -> str:
    """The key in the places this provider documents."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    match protocol:
        case "anthropic":
            return headers.get("x-api-key") or bearer
        case "gemini":
            return headers.get("x-goog-api-key") or parse_qs(query).get("key", [""])[0] or bearer
        case "openai_chat" | "openai_responses":
            return bearer


def _lister(path: str, parameters: dict[str, list[str]], headers: Mapping[str, str]) -> ProtocolName:
    """Three providers have this path: the headers tell whose list is meant."""
    if "anthropic-version" in headers:
        return "anthropic"
    is_google = not path.startswith("/v1/") and path != "/v1/models"
    is_google = is_google or "key" in parameters or "pageSize" in parameters
    return "gemini" if is_google or any(name.startswith("x-goog-") for name in headers) else "openai_chat"


def _guess(path: str, headers: Mapping[str, str]) -> ProtocolName:
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return "anthropic"
    if path.startswith(("/v1beta", "/v1alpha")) or "x-goog-api-key" in headers:
        return "gemini"
    return "openai_responses" if path.startswith("/v1/responses") else "openai_chat"
