"""Complaints about signatures are told from other mistakes of a request."""

from __future__ import annotations

import pytest

from aiclient2api.errors import ErrorInfo
from aiclient2api.gateway.state_refusals import refuses_state


@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        "Function call is missing a thought_signature in functionCall parts.",
        "Corrupted thought signature.",
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ],
)
def test_these_are(message: str) -> None:
    assert refuses_state(ErrorInfo(kind="invalid", message=message, protocol="any"))


def test_openai_has_a_code_for_it() -> None:
    info = ErrorInfo(
        kind="invalid", message="No.", code="invalid_encrypted_content", protocol="openai_responses"
    )
    assert refuses_state(info)


@pytest.mark.parametrize(
    "info",
    [
        ErrorInfo(kind="invalid", message="messages: at least one message is required", protocol="anthropic"),
        ErrorInfo(kind="invalid", message="Corrupted thought signature."),
        ErrorInfo(kind="auth", message="Invalid signature", protocol="anthropic"),
    ],
    ids=["something else", "our own words", "credentials"],
)
def test_these_are_not(info: ErrorInfo) -> None:
    assert not refuses_state(info)
