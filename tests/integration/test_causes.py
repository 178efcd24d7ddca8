"""What the log says of a failed attempt: the outcome, and what broke."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from aiclient2api.gateway.exchange import Attempt, Exchange
from tests.fakes.calls import closed_port
from tests.fakes.turns import Turn, Turns, after, body, pinging, silent, stream
from tests.harness import Sections, Stack, serving
from tests.integration.test_relay import EVENTS
from tests.program import until

SAID = [{"role": "user", "content": "x"}]
PAGE = b"<html><title>502</title></html>"
ERROR = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
EMPTY = (EVENTS[0], *EVENTS[6:])
NO_TOKENS = tuple(piece.replace(b'"output_tokens":7', b'"output_tokens":0') for piece in EMPTY)


class Seen:
    """An observer that keeps every attempt."""

    def __init__(self) -> None:
        self.verdicts: list[str] = []

    def started(self, exchange: Exchange) -> None:
        pass

    def attempting(self, exchange: Exchange, attempt: Attempt) -> None:
        pass

    def ended(self, exchange: Exchange) -> None:
        self.verdicts = [f"{attempt.account} {attempt.verdict}" for attempt in exchange.attempts]


def chain(base_url: str | None = None, **timeouts: str) -> Any:
    """`a`, perhaps elsewhere, and `b` behind it."""

    def sections(url: str) -> Sections:
        account = {"provider": "anthropic_compatible", "base_url": url}
        first = {**account, "api_key": "a", "timeouts": timeouts, "base_url": base_url or url}
        return {
            "accounts": {"a": {**first, "pool": "a"}, "b": {**account, "api_key": "b", "pool": "b"}},
            "models": {"m": {"targets": ["a/claude-x", "b/claude-x"]}},
        }

    return sections


def verdict(stack: Stack) -> str:
    """What is said of the first attempt, once the second one has answered."""
    seen = Seen()
    services = stack.runtime.services
    stack.call(lambda: setattr(services, "observers", (*services.observers, seen)))
    request = {"model": "m", "max_tokens": 9, "messages": SAID, "stream": True}
    answer = httpx.post(
        f"{stack.url}/v1/messages", json=request, headers={"x-api-key": stack.key}, timeout=60
    )
    assert answer.content == b"".join(EVENTS), answer.text
    assert b"<html" not in answer.content
    until(lambda: seen.verdicts)
    assert seen.verdicts[1] == "b ok"
    return seen.verdicts[0]


FAULTS: dict[str, tuple[Turn, str]] = {
    "a page with 404": (body(404, PAGE, "text/html"), "a upstream_error (status=404)"),
    "a page with 403": (body(403, PAGE, "text/html"), "a upstream_auth (status=403)"),
    "a page with 502": (body(502, PAGE, "text/html"), "a upstream_error (status=502)"),
    "a page with 200": (body(200, PAGE, "text/html"), "a upstream_error (status=200 type=text/html)"),
    "no body": (body(200, b"", "text/plain"), "a upstream_error (status=200 type=text/plain)"),
    "no content": (body(204, b""), "a upstream_error (status=204)"),
    "a part": (body(206, b"{}"), "a upstream_error (status=206)"),
    "nonsense": (body(799, b"{}"), "a upstream_error (status=799)"),
    "an error with 200": (body(200, ERROR), "a overloaded (error with status=200)"),
    "a cut prelude": (stream(EVENTS[0], end=False), "a upstream_truncated (cut)"),
    "an empty answer": (stream(*NO_TOKENS), "a empty_answer"),
    "silence": (silent(EVENTS[0]), "a upstream_timeout (first content)"),
    "no head": (silent(), "a upstream_timeout (headers)"),
}


@pytest.mark.parametrize(("turn", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_failed_attempt_says_what_broke(turn: Turn, said: str) -> None:
    with serving(Turns(a=[turn], b=[stream(*EVENTS)]).running(), chain(first_content="300ms")) as stack:
        assert verdict(stack) == said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"http://127.0.0.1:{closed_port()}", "a upstream_error (connect)"),
        ("https://no-such-host.invalid", "a upstream_error (dns)"),
    ],
    ids=["refused", "no such name"],
)
def test_an_unreachable_upstream_says_how_far_it_went(url: str, said: str) -> None:
    with serving(Turns(b=[stream(*EVENTS)]).running(), chain(url)) as stack:
        assert verdict(stack) == said


def test_an_answer_that_only_pings_is_given_up() -> None:
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    upstream = Turns(a=[pinging(ping, b"".join(EVENTS[:5]))], b=[stream(*EVENTS)])
    request = {"model": "m", "max_tokens": 9, "messages": SAID, "stream": True}
    seen = b""
    with (
        serving(upstream.running(), chain(semantic_idle="200ms")) as stack,
        httpx.stream(
            "POST", f"{stack.url}/v1/messages", json=request, headers={"x-api-key": stack.key}, timeout=60
        ) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        for piece in answer.iter_raw():
            seen += piece

    assert b"nothing but pings" in seen
    assert b"message_stop" not in seen


@pytest.mark.parametrize("stream_wanted", [True, False], ids=["stream", "unary"])
def test_the_only_account_may_think_as_long_as_an_answer_may_take(stream_wanted: bool) -> None:
    def alone(url: str) -> Sections:
        account = {"provider": "anthropic_compatible", "base_url": url, "api_key": "a", "pool": "a"}
        return {"accounts": {"a": {**account, "timeouts": {"first_content": "100ms"}}}}

    with serving(Turns(a=[after(0.4, stream(*EVENTS))]).running(), alone) as stack:
        answer = httpx.post(
            f"{stack.url}/v1/chat/completions",
            json={"model": "a/claude-x", "messages": SAID, "stream": stream_wanted},
            headers={"x-api-key": stack.key},
            timeout=60,
        )

    assert answer.status_code == 200


def test_an_empty_answer_is_asked_for_once_more_and_then_delivered() -> None:
    def alone(url: str) -> Sections:
        account = {"provider": "anthropic_compatible", "base_url": url, "api_key": "a", "pool": "a"}
        return {"accounts": {"a": account}}

    upstream = Turns(a=[stream(*NO_TOKENS)])
    with serving(upstream.running(), alone) as stack:
        for wanted, expected in ((True, 2), (False, 4)):
            path = "/v1/messages" if wanted else "/v1/chat/completions"
            answer = httpx.post(
                stack.url + path,
                json={"model": "a/claude-x", "max_tokens": 9, "messages": SAID, "stream": wanted},
                headers={"x-api-key": stack.key},
                timeout=60,
            )
            assert answer.status_code == 200
            assert answer.headers["x-a2-attempts"] == "2"
            assert len(upstream.calls) == expected
            if wanted:
                assert answer.content == b"".join(NO_TOKENS)
            else:
                assert answer.json()["choices"][0]["finish_reason"] == "stop"
