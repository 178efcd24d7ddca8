"""A request body from a file as the request a client would have sent."""

from __future__ import annotations

from typing import Final, Literal

from aiclient2api.protocols.base import Converter, SystemPrompt
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.registry import converters
from aiclient2api.wire.http import JSON_HEADERS, WireRequest

PROTOCOLS: Final = ("openai_chat", "openai_responses", "anthropic", "gemini")

_PATHS: Final = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
}
TENANT: Final = "cli"


def carrier() -> Carrier:
    """The key is fixed: the same input always gives the same output here."""
    return Carrier({0: bytes(16)}, 0)


def factory(system: SystemPrompt | None = None) -> ConverterFactory:
    """All conversions."""
    return ConverterFactory(converters(), carrier(), system)


def client_request(
    converter: Converter, body: bytes, model: str, stream: Literal["no", "sse"] = "no"
) -> WireRequest:
    """The client's request; Gemini's model and mode stand in the path, the others' in the body."""
    if converter.name != "gemini":
        return WireRequest(path=_PATHS.get(converter.name, "/"), body=body, headers=JSON_HEADERS)
    if stream == "sse":
        path, query = f"/v1beta/models/{model}:streamGenerateContent", "alt=sse"
    else:
        path, query = f"/v1beta/models/{model}:generateContent", ""
    return WireRequest(path=path, query=query, body=body, headers=JSON_HEADERS)
