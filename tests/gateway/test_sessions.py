"""By what a relayed conversation is known again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.gateway.sessions import LOOKED_AT, name_of
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.registry import converters
from aiclient2api.wire.http import Headers, WireRequest

PATHS = {
    "anthropic": "/v1/messages",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
    "openai_chat": "/v1/chat/completions",
}
MEMBERS = {
    "anthropic": "messages",
    "openai_responses": "input",
    "gemini": "contents",
    "openai_chat": "messages",
}


def name(protocol: str, turns: Any, headers: Headers = (), **members: Any) -> str:
    (converter,) = (each for each in converters() if each.name == protocol)
    model = {} if protocol == "gemini" else {"model": "m"}
    body = json.dumps({**model, **members, MEMBERS[protocol]: turns}, ensure_ascii=False).encode()
    return name_of(Inbound(converter, WireRequest(path=PATHS[protocol], body=body, headers=headers), "t"))


def said(role: str, text: str, **members: Any) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text, **members}]}


@pytest.mark.parametrize("protocol", ["anthropic", "openai_responses", "gemini"])
@pytest.mark.parametrize("first", ['a "short" one {', "\\ü" * LOOKED_AT], ids=["short", "long"])
def test_it_keeps_its_name_as_it_grows(protocol: str, first: str) -> None:
    turns = [said("user", first)]
    more = [*turns, said("assistant", "yes"), said("user", "and?")]

    assert name(protocol, turns) == name(protocol, more) != ""
    assert name(protocol, turns) != name(protocol, [said("user", f"another {first}")])


def test_what_comes_before_the_user_does_not_tell_conversations_apart() -> None:
    rules = {"role": "developer", "content": "Be brief."}

    assert name("openai_responses", [rules, said("user", "a")]) != name(
        "openai_responses", [rules, said("user", "b")]
    )


def test_a_cache_mark_that_moves_on_changes_nothing() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}

    assert name("anthropic", [said("user", "a", **mark)]) == name(
        "anthropic", [said("user", "a"), said("user", "b", **mark)]
    )


@pytest.mark.parametrize(
    "members",
    [
        {"headers": (("session_id", "0199-a"),)},
        {"metadata": {"user_id": "user_ab_account__session_7f9c2b1e-0000-4000-8000-000000000001"}},
        {"metadata": {"user_id": '{"device_id":"x","session_id":"7f9c2b1e-0000-4000-8000-000000000002"}'}},
    ],
    ids=["header", "metadata", "metadata as JSON"],
)
def test_a_session_that_the_client_names_is_enough(members: dict[str, Any]) -> None:
    one = name("anthropic", [said("user", "a")], **members)

    assert one == name("anthropic", [said("user", "compacted")], **members)
    assert one != name("anthropic", [said("user", "a")])


def test_an_end_user_or_a_cache_key_alone_is_no_session() -> None:
    alone: list[dict[str, Any]] = [{"metadata": {"user_id": "user-17"}}, {"prompt_cache_key": "my-app"}]
    for members in alone:
        assert name("anthropic", [said("user", "a")], **members) != name(
            "anthropic", [said("user", "b")], **members
        )


def test_a_prompt_that_is_one_string_has_a_name() -> None:
    assert name("openai_responses", "Hello") != name("openai_responses", "Hello!") != ""


def test_protocols_without_bound_state_have_none() -> None:
    assert name("openai_chat", [said("user", "a")]) == ""
