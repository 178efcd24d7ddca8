"""What `convert --kind error` says is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.protocols.error_losses import error_losses
from aiclient2api.wire.http import WireResponse
from tests.protocols.test_pairs import CONVERTERS

OC, OR, AM, GG = "openai_chat", "openai_responses", "anthropic", "gemini"
CHAT: Any = {"message": "bad", "type": "invalid_request_error", "param": "x", "code": "c1"}
RETRY: Any = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
GOOGLE: Any = {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": [RETRY]}


def lost(source: str, target: str, error: Any, status: int, **outer: Any) -> list[tuple[str, str, str]]:
    body = json.dumps({"error": error, **outer}).encode()
    info = CONVERTERS[source].decode_error(WireResponse(status=status, body=body))
    told = CONVERTERS[target].decode_error(CONVERTERS[target].encode_error(info))
    return [(loss.act, loss.feature, loss.path) for loss in error_losses(body, info, told, target)]


@pytest.mark.parametrize(
    ("target", "losses"),
    [
        (OC, []),
        (OR, []),
        (AM, [("dropped", "error.code", "error.code"), ("dropped", "error.param", "error.param")]),
        (GG, [("dropped", "error.param", "error.param")]),
    ],
)
def test_what_an_error_of_openai_loses(target: str, losses: Any) -> None:
    assert lost(OC, target, CHAT, 400) == losses


@pytest.mark.parametrize("target", [OC, OR, AM])
def test_the_details_of_google_are_told_otherwise(target: str) -> None:
    assert lost(GG, target, GOOGLE, 429) == [("approximated", "error.details", "error.details")]
    assert lost(GG, GG, GOOGLE, 429) == []


@pytest.mark.parametrize("source", [OC, OR, AM, GG])
@pytest.mark.parametrize("target", [OC, OR, AM, GG])
def test_members_that_nobody_knows_are_named(source: str, target: str) -> None:
    error = {"message": "busy", "later": 1, "empty": None}
    found = lost(source, target, error, 503, outer=2, type="error")
    assert {("dropped", "ext.later", "error"), ("dropped", "ext.outer", "")} <= set(found)
    assert all(feature != "ext.empty" for _, feature, _ in found)


def test_an_error_without_a_body_loses_nothing() -> None:
    info = CONVERTERS[OC].decode_error(WireResponse(status=502, body=b"<html>"))
    told = CONVERTERS[AM].decode_error(CONVERTERS[AM].encode_error(info))
    assert [loss.feature for loss in error_losses(b"<html>", info, told, AM)] == []
