"""How long an attempt may take."""

from __future__ import annotations

import pytest

from aiclient2api.gateway.calls import patience
from aiclient2api.net.transport import Timeouts
from aiclient2api.protocols.conversion import Inbound, RelayConversion, Target
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.registry import converters
from aiclient2api.wire.http import WireRequest


def conversion(*, thinks: bool) -> RelayConversion:
    (chat,) = (each for each in converters() if each.name == "openai_chat")
    wire = WireRequest(path="/v1/chat/completions", body=b'{"model":"m","messages":[],"stream":true}')
    return RelayConversion(
        Inbound(chat, wire, "t"), Target(model="m", profile=ModelProfile(thinking_off=not thinks)), None
    )


@pytest.mark.parametrize(
    ("thinks", "is_last", "headers", "first_content"),
    [(False, False, 30, 60), (True, False, 120, 300), (False, True, 30, 600), (True, True, 120, 600)],
)
def test_thinkers_and_the_last_one_asked_may_take_longer(
    thinks: bool, is_last: bool, headers: float, first_content: float
) -> None:
    found = patience(Timeouts(), conversion(thinks=thinks), is_last=is_last)

    assert (found.headers, found.first_content) == (headers, first_content)


def test_longer_ones_of_the_operator_stay() -> None:
    found = patience(Timeouts(headers=200, first_content=900), conversion(thinks=True), is_last=True)

    assert (found.headers, found.first_content) == (200, 900)
