"""The built-in providers: one line each. Third parties use the entry point `aiclient2api.providers`."""

from __future__ import annotations

from collections.abc import Sequence

from aiclient2api.providers.anthropic import ANTHROPIC
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.compatible import COMPATIBLE
from aiclient2api.providers.gemini import GEMINI
from aiclient2api.providers.openai import OPENAI
from aiclient2api.providers.simulator import SIMULATOR

BUILTIN: Sequence[ProviderSpec] = [
    OPENAI,
    ANTHROPIC,
    GEMINI,
    *COMPATIBLE,
    SIMULATOR,
]
