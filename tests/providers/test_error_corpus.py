"""Error bodies of real providers, from their bytes to what becomes of the account. Each names its source."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from aiclient2api.accounts.pool import AccountPool
from aiclient2api.errors import ErrorInfo, Rejected, UpstreamError
from aiclient2api.protocols.anthropic.errors import error_of
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.gemini.errors import decode_status
from aiclient2api.protocols.openai_errors import decode_error_object
from aiclient2api.protocols.registry import converters
from aiclient2api.providers.classify import classify
from aiclient2api.verdicts import Penalty
from aiclient2api.wire.http import WireResponse
from tests.fakes.accounts import Clock, account
from tests.protocols.gemini.gemini_samples import RECORDED as GOOGLE

HERE = Path(__file__).parent / "errors"
ENTRIES: list[dict[str, Any]] = [
    {**entry, "file": path.stem}
    for path in sorted(HERE.glob("*.json"))
    for entry in json.loads(path.read_text("utf-8"))
]
RECORDED = GOOGLE.parent
RECORDED_ERRORS = {
    "openai/reasoning-model-legacy-parameter-error.json": "Rejected",
    "openai/reasoning-model-temperature-error.json": "Rejected",
}


@cache
def by_name() -> dict[str, Converter]:
    return {converter.name: converter for converter in converters()}


def decoded(entry: dict[str, Any]) -> ErrorInfo:
    """The error as the protocol's own decoder reads it; without a status it came inside of a stream."""
    body, protocol, status = entry["body"], entry["protocol"], entry["status"]
    data = body.encode() if isinstance(body, str) and status is not None else json.dumps(body).encode()
    if status is not None:
        headers = tuple((name, value) for name, value in entry["headers"].items())
        return by_name()[protocol].decode_error(WireResponse(status=status, headers=headers, body=data))
    match protocol:
        case "anthropic":
            return error_of(data)
        case "gemini":
            return decode_status(Raw(data), None)
        case _:
            return decode_error_object(data, protocol)


def after(error: UpstreamError) -> float | None:
    """For how long the account cannot take the model, after as many as it takes; None when it can, at once."""
    clock = Clock(0.0)
    one = account("a")
    pool = AccountPool("main", [one, account("b")], now=clock, random=lambda: 0.0)
    for _ in range(pool.policy.health.overload_failures if error.penalty is Penalty.COOL else 1):
        lease = pool.take(lambda each: each is one, "m", set())
        if lease is None:
            break
        lease.failed(error)
        if (elsewhere := pool.take(lambda each: each is not one, "m", set())) is not None:
            elsewhere.succeeded()
    obstacle = one.obstacle("m", clock.now)
    other = one.obstacle("another", clock.now)
    assert (other is not None) == (obstacle is not None and error.scope.value == "account")
    assert pool.take(lambda each: each is not one, "m", set()) is not None, "nobody else is harmed"
    return None if obstacle is None else obstacle.wait


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['file']}: {entry['id']}")
def test_every_error_has_its_verdict(entry: dict[str, Any]) -> None:
    error = classify(decoded(entry))

    assert type(error).__name__ == entry["class"]
    assert error.scope.value == entry["scope"]
    assert error.info.retry_after == (None if entry["reset"] is None else pytest.approx(entry["reset"]))
    assert after(error) == (None if entry["cool"] is None else pytest.approx(entry["cool"]))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['file']}: {entry['id']}")
def test_only_the_clients_own_mistakes_are_told_in_the_upstreams_words(entry: dict[str, Any]) -> None:
    info = decoded(entry)
    error = classify(info)

    told = "<" in error.info.message
    assert not told or isinstance(error, Rejected)
    assert "<html" not in error.info.message.lower()
    if not isinstance(error, Rejected):
        assert error.info.message != info.message
        assert error.info.status is None


def test_the_corpus_is_large_and_cites_its_sources() -> None:
    assert len(ENTRIES) >= 120
    assert all(entry["source"] for entry in ENTRIES)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded traffic here")
@pytest.mark.parametrize("name", RECORDED_ERRORS)
def test_recorded_errors_have_their_verdicts(name: str) -> None:
    body = (RECORDED / name).read_bytes()
    info = by_name()["openai_chat"].decode_error(WireResponse(status=400, body=body))

    assert type(classify(info)).__name__ == RECORDED_ERRORS[name]


def test_only_these_classes_leave_the_account_alone() -> None:
    mistakes = {entry["class"] for entry in ENTRIES if entry["scope"] == "request" and entry["cool"] is None}

    assert mistakes == {
        "Rejected", "ContextTooLong", "ContentBlocked", "ModelMissing", "TooLargeHere", "Unexplained",
    }  # fmt: skip
