from __future__ import annotations

from typing import Literal

import pytest
from msgspec import Raw

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Inline, Media, Text
from aiclient2api.ir.request import ModelRequest, Thinking, Turn
from aiclient2api.ir.response import Finish
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport, media_feature
from aiclient2api.wire.json import NULL


def test_each_kind_of_loss_is_written_down() -> None:
    report = LossReport("gemini")

    report.dropped("user", "user")
    report.approximated("reasoning.effort", "thinking", "high")
    report.emulated("tool.name", "tools[0]")
    report.defaulted("max_output", "max_output", "32000")

    assert report.losses == [
        Loss("user", "user", "dropped", "gemini"),
        Loss("reasoning.effort", "thinking.effort", "approximated", "gemini", "high"),
        Loss("tool.name", "tools[0]", "emulated", "gemini"),
        Loss("max_output", "max_output", "defaulted", "gemini", "32000"),
    ]


def test_a_feature_is_reported_once_per_place() -> None:
    report = LossReport("gemini")

    report.dropped("citation", "turns[0]")
    report.dropped("citation", "turns[0]", "again")
    report.dropped("citation", "turns[1]")

    assert [loss.path for loss in report.losses] == ["turns[0]", "turns[1]"]


def test_members_of_other_protocols_stay_behind() -> None:
    report = LossReport("gemini")
    node = Text(
        text="a", ext={"anthropic": {"x": Raw(b"1"), "y": Raw(b"2"), "n": NULL}, "gemini": {"z": Raw(b"3")}}
    )

    report.foreign_ext(node, "turns[0].parts[0]")
    report.foreign_ext(Text(text="a"), "turns[0].parts[1]")

    assert report.losses == [
        Loss("ext.x", "turns[0].parts[0]", "dropped", "gemini", "anthropic"),
        Loss("ext.y", "turns[0].parts[0]", "dropped", "gemini", "anthropic"),
    ]


def test_the_details_of_an_end_are_lost_unless_they_are_told() -> None:
    report = LossReport("openai_chat")
    finish = Finish(reason="refusal", category="cyber", explanation="That is harmful.")

    report.finish_details(finish, "response", "That is harmful.")
    report.finish_details(Finish(reason="stop"), "response")

    assert report.losses == [Loss("finish.category", "response", "dropped", "openai_chat")]


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        ("image", "media.image"),
        ("audio", "media.audio"),
        ("video", "media.video"),
        ("document", "media.document"),
        ("file", "media.document"),
    ],
)
def test_media_are_reported_by_what_they_are(
    kind: Literal["image", "audio", "video", "document", "file"], feature: str
) -> None:
    assert media_feature(Media(kind=kind, source=Inline("x/y", "AAAA"))) == feature


@pytest.mark.parametrize("protocol", ["openai_chat", "openai_responses", "gemini", "anthropic"])
@pytest.mark.parametrize(
    ("thinking", "features"),
    [
        (Thinking(budget=2_000), {"reasoning.budget"}),
        (Thinking(effort="high"), {"reasoning.effort"}),
        (Thinking(budget=0), set[str]()),
        (Thinking(mode="off"), set[str]()),
    ],
    ids=["budget", "effort", "no budget", "off"],
)
def test_a_model_without_thoughts_drops_what_was_asked_under_its_own_name(
    protocol: str, thinking: Thinking, features: set[str]
) -> None:
    converter = next(converter for converter in BUILTIN if converter.name == protocol)
    request = ModelRequest(
        protocol="another",
        model="m",
        turns=[Turn(role="user", parts=[Text(text="hi")])],
        thinking=thinking,
        max_output=8_000,
    )
    losses = converter.encode_request(request, ModelProfile(thinking="none")).losses
    dropped = {loss.feature for loss in losses if loss.act == "dropped"}
    assert dropped == features


def test_a_name_of_a_megabyte_is_told_by_its_beginning() -> None:
    report = LossReport("gemini")

    report.foreign_members({"openai_chat": {"k" * 1_000_000: Raw(b"1"), "short": Raw(b"1")}}, "request")

    assert [loss.feature for loss in report.losses] == [f"ext.{'k' * 196}...", "ext.short"]
