"""`@copilotkit/aimock` as the upstream of every protocol, the official Python SDKs in front."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Stack, serving
from tests.interop import nodejs
from tests.interop.conversations import (
    CLIENTS,
    CONVERSATIONS,
    THINKING,
    TRUTH,
    Callers,
    Lie,
    callers,
    check,
    hold,
)
from tests.interop.upstreams import MODELS, accounts, at

pytestmark = pytest.mark.interop

SCRIPT = CONVERSATIONS | THINKING
COMMAND = nodejs.PACKAGES / "@copilotkit" / "aimock" / "dist" / "cli.js"


def fixtures() -> Iterator[dict[str, Any]]:
    """The conversations in aimock's own form: what is not said as written is answered with 503."""
    for conversation in SCRIPT.values():
        said = ""
        for step in conversation.steps:
            said = step.said or said
            match: dict[str, Any] = {"userMessage": said, "hasToolResult": bool(step.results)}
            if conversation.wishes.system:
                match["systemMessage"] = conversation.wishes.system
            if conversation.wishes.tools:
                match["toolName"] = conversation.wishes.tools[-1].name
            if step.results:
                match["toolResultContains"] = step.results[-1]
            response: dict[str, Any] = {}
            if step.text:
                response["content"] = step.text
            if step.thought:
                response["reasoning"] = step.thought
            if step.calls:
                response["toolCalls"] = [call._asdict() for call in step.calls]
            yield {"match": match, "response": response}


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    nodejs.require_packages()
    folder = tmp_path_factory.mktemp("aimock")
    script, output = folder / "fixtures.json", folder / "output.txt"
    script.write_text(json.dumps({"fixtures": list(fixtures())}), encoding="utf-8")
    command = [nodejs.NODE, COMMAND, "-p", "0", "-f", script, "--strict", "--validate-on-load"]
    with output.open("w") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
        try:
            yield listening(process, output)
        finally:
            process.kill()


def listening(process: subprocess.Popen[bytes], output: Path) -> str:
    """Wait for the line in which the process says where it listens."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"listening on (http://[\w.]+:\d+)\s", output.read_text()):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"aimock does not listen: {output.read_text()}")


@pytest.fixture(scope="module")
def stack(aimock: str) -> Iterator[Stack]:
    with serving(at(aimock), lambda url: accounts(f"{url}/v1", url, url)) as stack:
        yield stack


@pytest.fixture(scope="module")
def sdks(stack: Stack) -> Iterator[Callers]:
    with callers(stack) as sdks:
        yield sdks


LIES = {
    # A relay shows what aimock's Gemini does otherwise; converted for other clients it is what it is meant to be.
    # - google-genai asks for `/v1/models/…`, aimock has `/v1beta/models/…` only
    # - a turn of calls ends with FUNCTION_CALL, a reason that Gemini does not have (it says STOP)
    # - calls have no ids, as those of Gemini before version 3
    ("gemini", "gemini"): Lie(calls_end_with="FUNCTION_CALL", no_call_ids=True, only_v1beta=True),
}


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning")
@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("name", SCRIPT)
@pytest.mark.parametrize("upstream", MODELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_conversation_is_held_as_the_mock_has_it(
    sdks: Callers, client: str, upstream: str, name: str, stream: bool
) -> None:
    conversation, lie = SCRIPT[name], LIES.get((client, upstream), TRUTH)

    answers = hold(conversation, client, sdks.facing(lie), upstream, stream=stream)

    check(conversation, client, answers, lie)
