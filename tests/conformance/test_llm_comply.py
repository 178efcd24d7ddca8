"""`llm-comply`, a judge that was not written here, in front of every pair of protocols.

Each of its checks passes, or stands in `EXCEPTIONS` with the reason. A check that is listed and passes fails the
test as much as one that fails and is not listed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.harness import KEY, Sections, Stack, four_pools, simulated

CLIENTS = {
    "openai_chat": ["--format", "openai-chat", "--base-url", "{url}/v1"],
    "openai_responses": ["--format", "open-responses", "--base-url", "{url}/v1"],
    "anthropic": [
        *["--format", "anthropic", "--base-url", "{url}/v1", "--header", "anthropic-version:2023-06-01"],
        *["--auth-header", "x-api-key", "--no-bearer"],
    ],
    "gemini": [
        "--format",
        "google-genai",
        "--base-url",
        "{url}",
        "--auth-header",
        "x-goog-api-key",
        "--no-bearer",
    ],
}
CHECKS = {"openai_chat": 9, "openai_responses": 13, "anthropic": 9, "gemini": 9}

# the judge leaves out its checks of thinking unless it knows the name of the model
CLIENT_NAMES = {
    "openai_chat": "gpt-5",
    "openai_responses": "gpt-5",
    "anthropic": "claude-opus",
    "gemini": "gemini-3",
}
UPSTREAM_MODELS = {
    "chat": "gpt-5.5",
    "responses": "gpt-5.5",
    "claude": "claude-opus-4-6",
    "gemini": "gemini-3-flash",
}
FOREIGN_TO_CLAUDE = ("chat", "responses", "gemini")
EVERY_UPSTREAM = tuple(UPSTREAM_MODELS)


class Listed(NamedTuple):
    """Errors of the judge that are not ours."""

    client: str
    upstreams: tuple[str, ...]
    checks: tuple[str, ...]
    error: str
    reason: str


def optional(member: str, reason: str, upstreams: tuple[str, ...], checks: tuple[str, ...]) -> Listed:
    """The judge's schema requires a member of a message that Anthropic's own types do not."""
    return Listed("anthropic", upstreams, checks, rf"(usage: )?'{member}' is a required property", reason)


WHOLE_MESSAGES = (
    "anth-basic-response",
    "anth-system-prompt",
    "anth-multi-turn",
    "anth-tool-calling",
    "anth-image-input",
    "anth-thinking-display",
)
WHOLE_RESPONSES = (
    "basic-response",
    "system-prompt",
    "multi-turn",
    "tool-calling",
    "image-input",
    "assistant-phase",
    "response-output-phase-schema",
    "reasoning-summary",
)
STREAMED_RESPONSES = ("streaming-response", "streaming-usage")
NULL_ELSEWHERE = (
    "optional in the types of anthropic 2.12.0, and the API leaves it out when there is nothing to say"
)

EXCEPTIONS = [
    Listed(
        "openai_chat",
        ("chat",),
        ("chat-reasoning-summary",),
        r"HTTP 400 .*|response\.(id|choices|usage) is (missing.*|empty)",
        "the judge sends `reasoning`, a member that Chat does not have; a relay passes it on and the upstream "
        "refuses it, as OpenAI does",
    ),
    Listed(
        "openai_responses",
        ("gemini",),
        ("assistant-phase",),
        r"HTTP 400 .*|expected status='completed', got 'None'|response\.output is missing or empty",
        "the judge's conversation begins with the assistant; Gemini wants the user first, and its refusal is shown",
    ),
    Listed(
        "openai_responses",
        ("responses",),
        (*WHOLE_RESPONSES, *STREAMED_RESPONSES),
        r"(response: )?'(presence_penalty|frequency_penalty|store)' is a required property",
        "relayed from the simulator, which writes what the type of openai 3.54.0 has: these three are not in it",
    ),
    optional("container", NULL_ELSEWHERE, EVERY_UPSTREAM, WHOLE_MESSAGES),
    optional("inference_geo", NULL_ELSEWHERE, EVERY_UPSTREAM, WHOLE_MESSAGES),
    optional("server_tool_use", NULL_ELSEWHERE, EVERY_UPSTREAM, WHOLE_MESSAGES),
    optional("stop_details", NULL_ELSEWHERE, FOREIGN_TO_CLAUDE, WHOLE_MESSAGES),
    optional("cache_creation", NULL_ELSEWHERE, FOREIGN_TO_CLAUDE, WHOLE_MESSAGES),
    optional(
        "service_tier",
        "optional in the types of anthropic 2.12.0; Gemini has none",
        ("gemini",),
        WHOLE_MESSAGES,
    ),
    optional(
        "output_tokens_details",
        "optional in the types of anthropic 2.12.0; Gemini counts no thoughts where there are none",
        ("gemini",),
        tuple(check for check in WHOLE_MESSAGES if check != "anth-thinking-display"),
    ),
    Listed(
        "anthropic",
        EVERY_UPSTREAM,
        tuple(check for check in WHOLE_MESSAGES if check != "anth-tool-calling"),
        r"content\.\d: \{'type': 'text', 'text': '[^']*'\} is not valid under any of the given schemas",
        "the judge's schema requires `citations`, which the API only sends with citations",
    ),
    Listed(
        "anthropic",
        EVERY_UPSTREAM,
        ("anth-tool-calling",),
        r"content\.\d: \{'type': 'tool_use', 'id': '\w+', 'name': 'get_weather', 'input': \{'location': 'text'\}\} "
        r"is not valid under any of the given schemas",
        "the judge's schema requires `caller`, which the API only sends for programmatic calls",
    ),
]


def every_pair(url: str) -> Sections:
    models = {
        f"{name}-{pool}": {"targets": [f"{pool}/{model}"]}
        for name in set(CLIENT_NAMES.values())
        for pool, model in UPSTREAM_MODELS.items()
    }
    return {**four_pools(url), "models": models}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with simulated(every_pair) as (stack, _):
        yield stack


def judged(stack: Stack, client: str, upstream: str) -> dict[str, Any]:
    """The judge's results by the name of the check."""
    options = [option.format(url=stack.url) for option in CLIENTS[client]]
    command = [sys.executable, "-m", "llm_comply.cli", *options, "--api-key", KEY]
    done = subprocess.run(
        [*command, "--model", f"{CLIENT_NAMES[client]}-{upstream}", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout, done.stderr
    return {result["id"]: result for result in json.loads(done.stdout)["results"]}


@pytest.mark.parametrize("upstream", UPSTREAM_MODELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_judge_finds_what_is_listed_and_nothing_else(stack: Stack, client: str, upstream: str) -> None:
    results = judged(stack, client, upstream)
    rules = [rule for rule in EXCEPTIONS if rule.client == client and upstream in rule.upstreams]

    unlisted: list[str] = []
    met: set[tuple[str, str]] = set()
    for name, result in results.items():
        for error in result.get("errors", []):
            excuses = [rule for rule in rules if name in rule.checks and re.fullmatch(rule.error, error)]
            met.update((rule.error, name) for rule in excuses)
            if not excuses:
                unlisted.append(f"{name}: {error}")
    listed = {(rule.error, name) for rule in rules for name in rule.checks}

    assert not unlisted
    assert listed == met, "a listed error is gone: take it off the list"
    assert len(results) == CHECKS[client]
    assert [name for name, result in results.items() if result["status"] == "skipped"] == []
