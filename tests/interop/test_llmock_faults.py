"""What llmock breaks on purpose, and its verdict on what the gateway makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from llmock.chaos import StreamChaos
from llmock.testing import LLMockServer

from tests.conformance.clients import session
from tests.conformance.neutral import Wishes
from tests.harness import Sections, serving
from tests.interop.conversations import CLIENTS, Callers, callers
from tests.interop.mocks import Mock
from tests.interop.upstreams import MODELS, accounts, at

pytestmark = pytest.mark.interop

TEXT = "One two three four five six seven eight nine ten."
REPLY = {"type": "reply", "text": TEXT, "times": None}
OLD_PATHS = ("gemini", "gemini")


def bases(url: str) -> tuple[str, str, str]:
    return f"{url}/v1", f"{url}/anthropic", f"{url}/gemini"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Mock, Mock]]:
    with LLMockServer() as one, LLMockServer() as other, httpx2.Client() as http:
        # paced, so that what comes before a fault has been passed on when it happens
        one.state.stream_chaos = StreamChaos(chunk_delay_ms=15)
        yield Mock(one.url, http), Mock(other.url, http)


@pytest.fixture
def llmock(servers: tuple[Mock, Mock]) -> Mock:
    """The upstream that misbehaves."""
    for server in servers:
        server.reset()
        server.script(REPLY)
    return servers[0]


@pytest.fixture
def healthy(servers: tuple[Mock, Mock], llmock: Mock) -> Mock:
    """The upstream that works, where accounts have different ones."""
    return servers[1]


def two_accounts(first: str, second: str) -> Sections:
    """A pool of two accounts for each protocol; accounts are tried in the order of their names at first."""
    one, other = accounts(*bases(first)), accounts(*bases(second))
    both: dict[str, Any] = {f"{name}-a": account for name, account in one["accounts"].items()}
    both |= {f"{name}-b": account for name, account in other["accounts"].items()}
    return {"accounts": both, "models": one["models"]}


@pytest.fixture
def same_host(llmock: Mock) -> Iterator[Callers]:
    """Both accounts of each pool lead to the upstream that misbehaves."""
    with serving(at(llmock.url), lambda url: two_accounts(url, url)) as stack, callers(stack) as sdks:
        yield sdks


@pytest.fixture
def two_hosts(llmock: Mock, healthy: Mock) -> Iterator[Callers]:
    """The second account of each pool leads to the upstream that works."""
    with (
        serving(at(llmock.url), lambda url: two_accounts(url, healthy.url)) as stack,
        callers(stack) as sdks,
    ):
        yield sdks


def ask(sdks: Callers, client: str, upstream: str, *, stream: bool) -> str:
    """The text that an official SDK shows."""
    sdk = sdks.v1beta if (client, upstream) == OLD_PATHS else sdks.current
    talk = session(client, sdk, upstream, Wishes())
    talk.user("Count.")
    return talk.ask(stream=stream).text


@pytest.mark.parametrize("status", [408, 500, 502])
@pytest.mark.parametrize("upstream", MODELS)
def test_a_passing_failure_is_repeated_once_and_not_seen(
    llmock: Mock, same_host: Callers, upstream: str, status: int
) -> None:
    llmock.script({"type": "fail", "status": status})

    assert ask(same_host, "anthropic", upstream, stream=True) == TEXT
    assert [request["status"] for request in llmock.requests()] == [status, 200]
    assert llmock.findings() == []


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("upstream", MODELS)
def test_what_can_never_succeed_is_not_repeated(
    llmock: Mock, same_host: Callers, upstream: str, status: int
) -> None:
    llmock.script({"type": "fail", "status": status, "message": "that is the caller's own mistake"})

    with pytest.raises(Exception, match="that is the caller's own mistake"):
        ask(same_host, "openai_chat", upstream, stream=False)

    assert [request["status"] for request in llmock.requests()] == [status]
    assert llmock.findings() == []


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("upstream", MODELS)
def test_a_refused_account_is_left_alone(
    llmock: Mock, healthy: Mock, two_hosts: Callers, upstream: str, status: int
) -> None:
    llmock.script({"type": "fail", "status": status, "times": None})

    answers = [ask(two_hosts, "gemini", upstream, stream=False) for _ in range(6)]

    assert answers == [TEXT] * 6
    assert [request["status"] for request in llmock.requests()] == [status]
    assert llmock.findings() == healthy.findings() == []


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("upstream", MODELS)
def test_an_account_is_not_asked_again_before_its_retry_after(
    llmock: Mock, healthy: Mock, two_hosts: Callers, upstream: str, status: int
) -> None:
    llmock.script({"type": "fail", "status": status, "retry_after": 1})
    deadline = time.monotonic() + 20

    while len(llmock.requests()) < 2:
        assert time.monotonic() < deadline, "the account was not asked again"
        assert ask(two_hosts, "openai_responses", upstream, stream=False) == TEXT
        time.sleep(0.02)

    assert [request["status"] for request in llmock.requests()] == [status, 200]
    assert llmock.findings() == healthy.findings() == []


BREAKS = ("disconnect", "truncate", "malformed")
EVENTS_BEFORE_CONTENT = {"openai_chat": 1, "openai_responses": 2, "anthropic": 1, "gemini": 0}
EVENTS_WITH_CONTENT = {"openai_chat": 4, "openai_responses": 7, "anthropic": 6, "gemini": 3}

OVERLAPS: dict[str, set[str]] = {
    "disconnect": set(),
    "truncate": set(),
    # the second attempt begins in the moment in which the first is dropped: when llmock notices that a little later
    # it takes the two for different calls, and the first for one that went on
    "malformed": {"malformed_chunk_ignored"},
}
BLIND_SPOTS = {
    # Once content was sent there is no second attempt, and the client is told. llmock sees the first half only:
    "disconnect": ["gave_up"],  # of any stream that broke and was not asked for again
    "truncate": [
        "truncated_stream_accepted"
    ],  # it takes whoever does not ask again for content with what came
    "malformed": ["malformed_chunk_ignored"],  # likewise
}


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize("upstream", MODELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_breaks_before_content_is_repeated_and_not_seen(
    llmock: Mock, same_host: Callers, client: str, upstream: str, kind: str
) -> None:
    after = EVENTS_BEFORE_CONTENT[upstream]
    llmock.script({"type": "stream_fault", "kind": kind, "after_chunks": after})

    assert ask(same_host, client, upstream, stream=True) == TEXT
    assert len(llmock.requests()) == 2
    assert set(llmock.findings()) <= OVERLAPS[kind]


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize("upstream", MODELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_breaks_after_content_fails_loudly(
    llmock: Mock, same_host: Callers, client: str, upstream: str, kind: str
) -> None:
    after = EVENTS_WITH_CONTENT[upstream]
    llmock.script({"type": "stream_fault", "kind": kind, "after_chunks": after})

    with pytest.raises(Exception) as raised:  # each SDK has its own
        ask(same_host, client, upstream, stream=True)

    assert not isinstance(raised.value, AssertionError | AttributeError | TypeError)
    assert len(llmock.requests()) == 1
    assert llmock.findings() == BLIND_SPOTS[kind]
