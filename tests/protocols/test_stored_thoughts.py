"""A thought that comes back as its id alone is named where it cannot go, and leaves nothing behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from tests.protocols.exchanges import FACTORY

SAID = {"role": "assistant", "content": "Hi"}


def sent(upstream: str, *items: dict[str, Any]) -> tuple[Any, list[tuple[str, str]]]:
    user = {"role": "user", "content": "x"}
    body = {"model": "m", "store": False, "input": [user, *items, user]}
    wire = WireRequest(path="/v1/responses", body=json.dumps(body).encode())
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=False)
    conversion = FACTORY.convert(Inbound(FACTORY["openai_responses"], wire, "t"), upstream, target)
    acts = [(loss.feature, loss.act) for loss in conversion.losses if loss.feature.startswith("reasoning")]
    return json.loads(conversion.request.body), acts


@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic", "gemini"])
def test_a_stored_thought_is_a_loss_at_another_provider(upstream: str) -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert sent(upstream, thought, SAID) == (sent(upstream, SAID)[0], [("reasoning.opaque", "dropped")])


@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic", "gemini"])
def test_an_item_with_nothing_in_it_is_no_loss(upstream: str) -> None:
    thought = {"type": "reasoning", "summary": []}
    assert sent(upstream, thought, SAID) == sent(upstream, SAID)
    assert sent(upstream, thought)[1] == []
