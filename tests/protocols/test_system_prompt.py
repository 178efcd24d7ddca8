from __future__ import annotations

from typing import Literal

import pytest

from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest, Role, Turn
from aiclient2api.protocols.base import SystemPrompt
from aiclient2api.protocols.system_prompt import apply_system_prompt


def turns(*spoken: tuple[Role, str]) -> list[Turn]:
    return [Turn(role=role, parts=[Text(text=text)]) for role, text in spoken]


def request(hoisted: int, *spoken: tuple[Role, str]) -> ModelRequest:
    return ModelRequest(protocol="anthropic", model="m", hoisted=hoisted, turns=turns(*spoken))


USER: tuple[Role, str] = ("user", "Hi")
LATE: tuple[Role, str] = ("system", "late")
OWN: tuple[Role, str] = ("system", "Ours")


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        pytest.param("append", request(0, USER), request(1, OWN, USER), id="append to nothing"),
        pytest.param(
            "append",
            request(1, ("system", "a"), USER),
            request(2, ("system", "a"), OWN, USER),
            id="append to the top-level text",
        ),
        pytest.param(
            "append",
            request(0, ("system", "a"), ("developer", "b"), USER),
            request(0, ("system", "a"), ("developer", "b"), OWN, USER),
            id="append behind messages",
        ),
        pytest.param(
            "append",
            request(1, ("system", "a"), ("developer", "b"), USER),
            request(1, ("system", "a"), ("developer", "b"), OWN, USER),
            id="append behind both",
        ),
        pytest.param("replace", request(0, USER), request(1, OWN, USER), id="replace nothing"),
        pytest.param(
            "replace",
            request(1, ("system", "a"), ("developer", "b"), USER, LATE),
            request(1, OWN, USER, LATE),
            id="replace the leading texts only",
        ),
    ],
)
def test_the_operators_text_has_its_place(
    mode: Literal["append", "replace"], before: ModelRequest, after: ModelRequest
) -> None:
    assert apply_system_prompt(before, SystemPrompt(mode=mode, text="Ours")) == after


def test_without_a_text_of_the_operator_nothing_changes() -> None:
    asked = request(0, USER)

    assert apply_system_prompt(asked, None) is asked


def test_a_longer_conversation_begins_with_the_shorter_one() -> None:
    system = SystemPrompt(mode="append", text="Ours")

    short = apply_system_prompt(request(1, ("system", "a"), USER), system)
    long = apply_system_prompt(request(1, ("system", "a"), USER, ("assistant", "Hello"), USER), system)

    assert long.turns[: len(short.turns)] == short.turns
