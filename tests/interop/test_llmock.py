"""`llmock` as the upstream of every protocol, and its verdict on how the gateway treats an upstream."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from llmock.testing import LLMockServer

from tests.harness import Sections, Stack, serving
from tests.interop.conversations import (
    CLIENTS,
    CONVERSATIONS,
    TRUTH,
    Callers,
    Lie,
    callers,
    check,
    hold,
)
from tests.interop.mocks import Mock
from tests.interop.upstreams import MODELS, accounts, at

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server() -> Iterator[Mock]:
    with LLMockServer() as server, httpx2.Client() as http:
        yield Mock(server.url, http)


@pytest.fixture
def llmock(server: Mock) -> Mock:
    server.reset()
    return server


def one_of_each(url: str) -> Sections:
    return accounts(f"{url}/v1", f"{url}/anthropic", f"{url}/gemini")


@pytest.fixture(scope="module")
def stack(server: Mock) -> Iterator[Stack]:
    with serving(at(server.url), one_of_each) as stack:
        yield stack


@pytest.fixture(scope="module")
def sdks(stack: Stack) -> Iterator[Callers]:
    with callers(stack) as sdks:
        yield sdks


LIES = {
    # llmock's Gemini has `/v1beta/models/…` only, and its calls have no ids, as those of Gemini before version 3
    ("gemini", "gemini"): Lie(no_call_ids=True, only_v1beta=True),
}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("upstream", MODELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_conversation_is_held_as_the_mock_has_it(
    llmock: Mock, sdks: Callers, client: str, upstream: str, name: str, stream: bool
) -> None:
    conversation, lie = CONVERSATIONS[name], LIES.get((client, upstream), TRUTH)
    llmock.play(conversation)

    answers = hold(conversation, client, sdks.facing(lie), upstream, stream=stream)

    check(conversation, client, answers, lie)
    assert len(llmock.requests()) == len(conversation.steps)
    assert llmock.findings() == []
