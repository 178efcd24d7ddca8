"""Small things that a target takes in another form, or not at all, and how the report names them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from aiclient2api.errors import Unrepresentable
from aiclient2api.protocols.conversion import Conversion, Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest
from tests.fakes.sealing import CARRIER
from tests.protocols.test_pairs import BUILTIN, CONVERTERS, PATHS
from tests.protocols.test_silent_losses import USER, chat, claude, google, responses, sent

OC, OR, AM, GG = "openai_chat", "openai_responses", "anthropic", "gemini"
FOUND: Final = {
    "type": "search_result",
    "source": "https://w.example",
    "title": "Weather",
    "content": [{"type": "text", "text": "Rain."}, {"type": "text", "text": "Wind."}],
}
TOLD: Final = "Weather\nhttps://w.example\n\nRain.\nWind."
CALL: Final = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}


def converted(client: str, upstream: str, body: Any, profile: ModelProfile | None = None) -> Conversion:
    wire = WireRequest(path=PATHS[client], body=json.dumps(body).encode())
    target = Target(model="m", profile=profile or ModelProfile())
    return ConverterFactory(BUILTIN, CARRIER).convert(
        Inbound(CONVERTERS[client], wire, "t"), upstream, target
    )


def places(conversion: Conversion) -> list[tuple[str, str]]:
    return [(loss.feature, loss.path) for loss in conversion.losses]


@pytest.mark.parametrize("upstream", [OC, OR, GG])
@pytest.mark.parametrize("is_result", [False, True], ids=["of the user", "of a tool"])
def test_a_search_result_is_told_as_text(upstream: str, is_result: bool) -> None:
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [FOUND]}]}
    turns = (
        [USER, {"role": "assistant", "content": [CALL]}, result]
        if is_result
        else [{"role": "user", "content": [FOUND]}]
    )
    body, losses = sent(AM, upstream, claude(*turns))
    assert json.dumps(TOLD)[1:-1] in json.dumps(body)
    assert ("media.document", "approximated") in losses


@pytest.mark.parametrize("upstream", [OC, OR, GG])
@pytest.mark.parametrize("is_result", [False, True], ids=["of the user", "of a tool"])
def test_what_a_search_result_holds_beside_its_text_is_named(upstream: str, is_result: bool) -> None:
    odd = FOUND | {
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral"},
        "later": 1,
        "content": [{"type": "text", "text": "Rain.", "new": 2}, {"type": "image", "source": {}}],
    }
    call = {"role": "assistant", "content": [CALL]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [odd]}]}
    turns = [USER, call, result] if is_result else [{"role": "user", "content": [odd]}]
    conversion = converted(AM, upstream, claude(*turns))
    expected = ["citation", "cache_mark", "ext.later", "media.document", "ext.new", "ext.image", "ext.source"]
    inside = [loss for loss in conversion.losses if loss.feature in expected]
    assert sorted(loss.feature for loss in inside) == sorted(expected)
    assert [loss.path.rpartition(".")[2] for loss in inside if loss.feature == "ext.new"] == ["content[0]"]


def test_a_search_result_that_asks_for_no_citations_only_becomes_text() -> None:
    conversion = converted(
        AM, OC, claude({"role": "user", "content": [FOUND | {"citations": {"enabled": False}}]})
    )
    assert [loss.feature for loss in conversion.losses] == ["media.document"]


@pytest.mark.parametrize("upstream", [OC, OR, GG])
@pytest.mark.parametrize("texts", [1, 2])
def test_what_a_text_of_a_result_holds_beside_its_words_is_named(upstream: str, texts: int) -> None:
    text = {"type": "text", "text": "Rain.", "later": 1, "cache_control": {"type": "ephemeral"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [text] * texts}
    turns = [USER, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result]}]
    found = places(converted(AM, upstream, claude(*turns)))
    for number in range(texts):
        where = f"turns[2].parts[0].parts[{number}]"
        assert ("ext.later", where) in found
        assert (("cache_mark", where) in found) == (upstream == GG), "the others mark it too"


@pytest.mark.parametrize("upstream", [OC, OR, AM])
def test_a_member_beside_the_parts_of_a_system_instruction_is_named(upstream: str) -> None:
    told = {"parts": [{"text": "Be brief."}], "later": {"a": 1}}
    found = places(converted(GG, upstream, google(systemInstruction=told)))
    assert ("ext.later", "turns[0]") in found


LATER: Final = [
    {"reasoning": {"effort": "low", "later": 1}},
    {"reasoning": {"effort": "low"}, "later": 1},
]


@pytest.mark.parametrize("upstream", [OC, AM, GG])
@pytest.mark.parametrize("said", LATER, ids=["inside", "beside"])
def test_whatever_an_update_says_beside_the_effort_is_named(upstream: str, said: Any) -> None:
    profile = ModelProfile(thinking="effort", mid_system=True)
    body = responses(USER, {"type": "configuration_update", **said}, USER, max_output_tokens=9)
    assert "control.configuration_update" in dict(places(converted(OR, upstream, body, profile)))


@pytest.mark.parametrize("upstream", [OC, AM, GG])
def test_a_reference_to_a_stored_item_has_the_code_that_asks_for_the_whole_history(upstream: str) -> None:
    with pytest.raises(Unrepresentable) as raised:
        converted(OR, upstream, responses(USER, {"type": "item_reference", "id": "msg_9"}, USER))
    assert raised.value.info.code == "previous_response_not_found"
    assert "msg_9" in raised.value.info.message
    assert raised.value.info.param == "input[1]"


@pytest.mark.parametrize(("client", "upstream"), [(OC, OR), (OR, OC)])
def test_what_both_openai_protocols_have_goes_across(client: str, upstream: str) -> None:
    both = {"user": "u", "safety_identifier": "s", "prompt_cache_retention": "24h"}
    body, losses = sent(client, upstream, (chat if client == OC else responses)(**both))
    assert {name: body[name] for name in both} == both
    assert losses == []


def test_a_compatible_server_is_not_sent_what_only_openai_has() -> None:
    body, losses = sent(OR, OC, responses(prompt_cache_retention="24h"), ModelProfile(developer_role=False))
    assert "prompt_cache_retention" not in body
    assert ("ext.prompt_cache_retention", "dropped") in losses


@pytest.mark.parametrize(("summary", "display"), [("auto", "summarized"), (None, None)])
def test_models_with_a_budget_are_told_what_to_show(summary: str | None, display: str | None) -> None:
    wish = {"effort": "low"} | ({"summary": summary} if summary else {})
    body, losses = sent(
        OR, AM, responses(reasoning=wish, max_output_tokens=9000), ModelProfile(thinking="budget")
    )
    assert body["thinking"].get("display") == display
    assert not any(feature == "reasoning.show" for feature, _ in losses)


def test_a_budget_model_can_be_told_to_show_nothing() -> None:
    config = {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": False}, "maxOutputTokens": 9000}
    body, losses = sent(GG, AM, google(generationConfig=config), ModelProfile(thinking="budget"))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}
    assert losses == []


TREE: Final = {
    "type": "object",
    "properties": {"child": {"$ref": "#/$defs/tree"}},
    "$defs": {"tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}},
}


def test_an_answer_that_refers_to_itself_cannot_be_asked_of_claude() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "tree", "strict": True, "schema": TREE}}
    body, losses = sent(OC, AM, chat(response_format=form))
    assert "output_config" not in body
    assert ("output.format", "dropped") in losses


IMAGE: Final = {"type": "image_url", "image_url": {"url": "https://i.example/a.png", "foo": 1}}


@pytest.mark.parametrize("upstream", [OR, AM, GG])
def test_an_unknown_member_inside_another_is_named_by_its_own_path(upstream: str) -> None:
    found = places(converted(OC, upstream, chat({"role": "user", "content": [IMAGE]})))
    assert ("ext.image_url.foo", "turns[0].parts[0]") in found
    assert all(feature != "ext.image_url" for feature, _ in found)


def test_an_unknown_member_of_a_message_is_named_by_itself() -> None:
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a"}],
        "foo": 1,
    }
    found = places(converted(OR, AM, responses(USER, said, USER)))
    assert ("ext.foo", "turns[1].parts[0]") in found


def test_an_empty_output_config_says_nothing() -> None:
    assert sent(AM, OC, claude(output_config={}))[1] == []


@pytest.mark.parametrize("key", ["cache_control", "prompt_cache_breakpoint"])
def test_a_cache_mark_that_arrives_is_no_loss(key: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {"mode": "explicit"}}[key]
    text = {"type": "text", "text": "hi", key: mark}
    body, losses = sent(OC, AM, chat({"role": "user", "content": [text]}, max_tokens=9))
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert losses == []


@pytest.mark.parametrize("upstream", [OR, AM])
def test_settings_have_one_path_whatever_the_target(upstream: str) -> None:
    found = places(converted(OC, upstream, chat(seed=1, foo=2)))
    assert {("sampling.seed", "sampling.seed"), ("ext.foo", "request")} <= set(found)


@pytest.mark.parametrize(
    ("client", "body", "lines"),
    [
        (
            OC,
            chat({"role": "user", "name": "bo", "content": "hi"}, seed=1),
            ["message.name dropped at messages[0]", "sampling.seed dropped at sampling.seed"],
        ),
        (
            GG,
            google({"role": "user", "parts": [{"text": "hi", "foo": 1}]}),
            ["ext.foo dropped at contents[0].parts[0]"],
        ),
    ],
)
def test_losses_are_told_with_the_places_of_the_client(client: str, body: Any, lines: list[str]) -> None:
    factory = ConverterFactory(BUILTIN, CARRIER)
    wire = WireRequest(path=PATHS[client], body=json.dumps(body).encode())
    inbound = Inbound(CONVERTERS[client], wire, "t")
    conversion = factory.convert(inbound, AM, Target(model="m", profile=ModelProfile()))
    lost = [loss for loss in conversion.losses if loss.act == "dropped"]
    assert factory.told(inbound, lost) == lines


@pytest.mark.parametrize(
    ("options", "control", "acts"),
    [
        ({"mode": "implicit"}, {"type": "ephemeral"}, []),
        ({"mode": "implicit", "ttl": "30m"}, {"type": "ephemeral"}, ["approximated"]),
        ({"mode": "implicit", "ttl": "12h"}, {"type": "ephemeral", "ttl": "1h"}, ["approximated"]),
        ({"mode": "explicit"}, None, []),
        ({"mode": "implicit", "prewarm": True}, {"type": "ephemeral"}, ["dropped"]),
    ],
    ids=str,
)
def test_what_openai_caches_by_itself_claude_does_too(options: Any, control: Any, acts: list[str]) -> None:
    body, losses = sent(OR, AM, responses(prompt_cache_options=options, max_output_tokens=99))
    assert body.get("cache_control") == control
    assert [act for feature, act in losses if feature == "cache_policy"] == acts


@pytest.mark.parametrize(("upstream", "long"), [(OR, "12h"), (OC, "30m")])
@pytest.mark.parametrize(("ttl", "is_long"), [(None, False), ("5m", False), ("1h", True)])
def test_what_claude_caches_by_itself_openai_does_too(
    upstream: str, long: str, ttl: Any, is_long: bool
) -> None:
    control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    body, losses = sent(AM, upstream, claude(cache_control=control))
    assert body["prompt_cache_options"] == {"mode": "implicit", "ttl": long if is_long else "30m"}
    assert losses == ([("cache_policy", "approximated")] if ttl else [])


def test_a_lifetime_that_chat_has_not_is_the_nearest() -> None:
    body, losses = sent(OR, OC, responses(prompt_cache_options={"mode": "explicit", "ttl": "12h"}))
    assert body["prompt_cache_options"] == {"mode": "explicit", "ttl": "30m"}
    assert losses == [("cache_policy", "approximated")]


def test_a_policy_of_its_own_takes_the_place_of_a_mark() -> None:
    text = {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}}
    turns = {"role": "user", "content": [text] * 4}
    body, losses = sent(OC, AM, chat(turns, prompt_cache_options={"mode": "implicit"}, max_tokens=9))
    assert json.dumps(body).count("cache_control") == 4
    assert losses == [("cache_mark", "dropped")]


SUMMARY: Final = {"type": "compaction", "content": "So far: rain."}


@pytest.mark.parametrize("upstream", [OC, OR, GG])
@pytest.mark.parametrize("is_alone", [True, False])
def test_the_summary_of_a_compacted_history_is_told_as_text(upstream: str, is_alone: bool) -> None:
    blocks = [SUMMARY, *([] if is_alone else [{"type": "text", "text": "a"}])]
    body, losses = sent(AM, upstream, claude(USER, {"role": "assistant", "content": blocks}, USER))
    assert "So far: rain." in json.dumps(body)
    assert ("control.compaction", "approximated") in losses


@pytest.mark.parametrize("upstream", [OC, AM, GG])
def test_a_sealed_history_is_refused_where_nobody_can_read_it(upstream: str) -> None:
    with pytest.raises(Unrepresentable) as raised:
        converted(OR, upstream, responses({"type": "compaction", "encrypted_content": "gA"}, USER))
    assert raised.value.info.code == "unsupported_content"
