"""Accounts and model names for upstreams that run already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.harness import Sections

MODELS = {
    "openai_chat": "gpt-5.5",
    "openai_responses": "gpt-5.5",
    "anthropic": "claude-opus-4-6",
    "gemini": "gemini-3-flash",
}


@asynccontextmanager
async def at(url: str) -> AsyncIterator[str]:
    """An upstream that somebody else starts and stops."""
    yield url


def accounts(openai: str, anthropic: str, gemini: str) -> Sections:
    """One account for each upstream protocol; the model that leads to it has the protocol's name."""
    given = {
        "openai_chat": {"provider": "openai_compatible", "base_url": openai},
        "openai_responses": {"provider": "openai", "base_url": openai, "protocol": "openai_responses"},
        "anthropic": {"provider": "anthropic_compatible", "base_url": anthropic},
        "gemini": {"provider": "gemini_compatible", "base_url": gemini},
    }
    return {
        "accounts": {
            name: {**account, "api_key": f"key-of-{name}", "pool": name} for name, account in given.items()
        },
        "models": {name: {"targets": [f"{name}/{model}"]} for name, model in MODELS.items()},
    }
