"""What a server quotes of a request that it refused shows the client no secret of the account."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.errors import ErrorInfo
from aiclient2api.gateway.verdict import verdict
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.credentials import Credentials, Secret
from tests.fakes.turns import Turns, body, stream
from tests.harness import Sections, serving

KEY = "0123456789abcdefKEY"
TEAM = "team/token+of=ours"


def account(key: str = KEY) -> Account:
    provider = ApiKeyProvider(
        protocols=("openai_chat",),
        base_url="https://up.example/v1",
        credentials=Credentials(Secret(key)),
        auth="authorization",
        profiles=lambda _model, _protocol: DEFAULT_PROFILE,
    )
    return Account("a", "openai", provider, AccountSettings(headers=(("x-team", TEAM),)))


def test_no_member_of_an_error_quotes_the_key_or_a_header_of_the_account() -> None:
    details = json.dumps({"headers": [KEY, TEAM], "n": 1}).replace("/", "\\/").encode()
    error = ErrorInfo(
        kind="invalid",
        status=400,
        message=f"bad {KEY}",
        type=f"t {TEAM}",
        code=f"c {KEY}",
        param=f"x-api-key={KEY}",
        details=msgspec.Raw(details),
    )

    told = verdict(account(), error).info

    assert (told.message, told.type, told.code, told.param) == ("bad ***", "t ***", "c ***", "x-api-key=***")
    assert told.details is not None
    assert json.loads(bytes(told.details)) == {"headers": ["***", "***"], "n": 1}


@pytest.mark.parametrize("key", ["none", "bad"])
def test_a_word_that_is_no_secret_stays(key: str) -> None:
    error = ErrorInfo(kind="invalid", status=400, message="none is a bad value")

    assert verdict(account(key), error).info.message == "none is a bad value"


def sections(url: str) -> Sections:
    return {"accounts": {"a": {"provider": "openai_compatible", "base_url": url, "api_key": KEY}}}


def refusal(**members: Any) -> bytes:
    said = {"message": f"Invalid header x: {KEY}", "type": "invalid_request_error", "param": KEY, **members}
    return json.dumps({"error": {**said, "details": [{"authorization": f"Bearer {KEY}"}]}}).encode()


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_client_never_reads_the_key_in_a_refusal(*, is_stream: bool) -> None:
    turn = stream(b"data: " + refusal() + b"\n\n") if is_stream else body(400, refusal())
    with serving(Turns(**{KEY: [turn]}).running(), sections) as stack:
        answer = httpx.post(
            f"{stack.url}/v1/chat/completions",
            json={"model": "openai_compatible/m", "messages": [], "stream": is_stream},
            headers={"authorization": f"Bearer {stack.key}"},
            timeout=60,
        )

    assert answer.status_code == 400
    assert "Invalid header x: ***" in answer.text
    assert KEY not in answer.text
