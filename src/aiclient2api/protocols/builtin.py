"""The built-in protocols: one line each. Third parties use the entry point `aiclient2api.protocols`."""

from __future__ import annotations

from collections.abc import Sequence

from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.gemini import GeminiConverter
from aiclient2api.protocols.openai_chat import OpenAIChatConverter
from aiclient2api.protocols.openai_responses import OpenAIResponsesConverter

BUILTIN: Sequence[Converter] = [
    OpenAIChatConverter(),
    OpenAIResponsesConverter(),
    AnthropicConverter(),
    GeminiConverter(),
]
