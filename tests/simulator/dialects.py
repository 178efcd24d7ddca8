"""The four protocols as the tests speak them."""

from __future__ import annotations

from .dialect import SCHEMA, Ask, Dialect, Seen, sse
from .openai_dialects import Chat, Responses
from .other_dialects import Gemini, Messages

__all__ = ["CHAT", "DIALECTS", "GEMINI", "MESSAGES", "RESPONSES", "SCHEMA", "Ask", "Dialect", "Seen", "sse"]

CHAT, RESPONSES, MESSAGES, GEMINI = Chat(), Responses(), Messages(), Gemini()
DIALECTS: list[Dialect] = [CHAT, RESPONSES, MESSAGES, GEMINI]
