from __future__ import annotations

import pytest

from aiclient2api.errors import UnknownModel
from aiclient2api.routing.table import Member, Route, RouteTable
from aiclient2api.routing.targets import Chain, Target

FAMILIES = {"gpt-*": "openai", "o[0-9]*": "openai", "claude-*": "anthropic", "gemini-*": "gemini"}


def _table(chains: dict[str, Chain] | None = None, members: list[Member] | None = None) -> RouteTable:
    default = [
        Member("openai", "openai"),
        Member("openai", "openai", ["gpt-4*"]),
        Member("anthropic", "anthropic"),
        Member("lab", "openai_compatible", ["meta-llama/*", "qwen3"]),
    ]
    return RouteTable(chains or {}, default if members is None else members, FAMILIES)


def _to(*targets: str) -> Chain:
    return Chain(tuple(Target(*target.split("/", 1)) for target in targets))


@pytest.mark.parametrize(
    ("model", "targets", "rule"),
    [
        ("best", ["anthropic/claude-opus-5", "openai/gpt-5.5"], "models entry 'best'"),
        ("fast-gpt-5-mini", ["openai/mini"], "models entry 'fast-gpt-*'"),
        ("fast-claude", ["lab/fast-claude"], "models entry 'fast-*'"),
        ("openai/gpt-5.5", ["openai/gpt-5.5"], "pool 'openai'"),
        ("lab/meta-llama/Llama-4", ["lab/meta-llama/Llama-4"], "pool 'lab'"),
        ("meta-llama/Llama-4", ["lab/meta-llama/Llama-4"], "an account's models list ('meta-llama/*')"),
        ("qwen3", ["lab/qwen3"], "an account's models list ('qwen3')"),
        ("gpt-4.1", ["openai/gpt-4.1"], "an account's models list ('gpt-4*')"),
        ("gpt-5.5", ["openai/gpt-5.5"], "family 'gpt-*'"),
        ("o3-mini", ["openai/o3-mini"], "family 'o[0-9]*'"),
        ("claude-opus-5", ["anthropic/claude-opus-5"], "family 'claude-*'"),
    ],
)
def test_the_rules_are_asked_in_order(model: str, targets: list[str], rule: str) -> None:
    table = _table(
        {
            "fast-*": _to("lab/*"),
            "best": _to("anthropic/claude-opus-5", "openai/gpt-5.5"),
            "fast-gpt-*": _to("openai/mini"),
        }
    )

    route = table.resolve(model)

    assert [str(target) for target in route.targets] == targets
    assert route.rule == rule


def test_an_entry_comes_before_a_pool_of_that_name() -> None:
    table = _table({"openai/*": _to("lab/*")})

    assert table.resolve("openai/gpt-5").targets == (Target("lab", "openai/gpt-5"),)


def test_among_patterns_of_equal_length_the_earlier_one_wins() -> None:
    table = _table({"a*c": _to("lab/first"), "ab*": _to("lab/second")})

    assert table.resolve("abc").targets == (Target("lab", "first"),)


def test_the_route_carries_the_context_fallback() -> None:
    chain = Chain((Target("openai", "gpt-5.5"),), (Target("lab", "*"),))

    route = _table({"best": chain}).resolve("best")

    assert route.context_fallback == (Target("lab", "best"),)


def test_a_family_leads_to_the_only_pool_of_its_provider() -> None:
    table = _table(members=[Member("team", "openai")])

    assert table.resolve("gpt-5").targets == (Target("team", "gpt-5"),)


def test_a_family_prefers_the_pool_called_like_its_provider() -> None:
    table = _table(members=[Member("a", "openai"), Member("openai", "openai")])

    assert table.resolve("gpt-5").targets == (Target("openai", "gpt-5"),)


@pytest.mark.parametrize(
    ("members", "model", "message"),
    [
        (
            [Member("a", "openai"), Member("b", "openai")],
            "gpt-5",
            "model 'gpt-5' is ambiguous, openai accounts are in several pools: ask for one of a/gpt-5, b/gpt-5",
        ),
        (
            [Member("a", "x", ["q*"]), Member("b", "y", ["q*"])],
            "qwen",
            "model 'qwen' is ambiguous, 'q*' is in the models list of accounts in several pools: "
            "ask for one of a/qwen, b/qwen",
        ),
        (
            [Member("lab", "x")],
            "nothing",
            "model 'nothing' is not known: no models entry matches, no account lists it, "
            "its name belongs to no known family",
        ),
        (
            [Member("lab", "x")],
            "claude-opus-5",
            "model 'claude-opus-5' is not known: no models entry matches, no account lists it, "
            "its family 'claude-*' has no anthropic account",
        ),
        (
            [Member("lab", "x")],
            "nowhere/model",
            "model 'nowhere/model' is not known: no models entry matches, there is no pool 'nowhere', "
            "no account lists it, its name belongs to no known family",
        ),
    ],
    ids=["ambiguous family", "ambiguous list", "nothing", "family without account", "no such pool"],
)
def test_an_unknown_model_says_what_was_tried(members: list[Member], model: str, message: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        _table(members=members).resolve(model)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5.5", Route((Target("lab", "gpt-5.5"),), "pool 'lab' was asked for")),
        ("lab/qwen3", Route((Target("lab", "qwen3"),), "pool 'lab' was asked for")),
        ("openai/gpt-oss", Route((Target("lab", "openai/gpt-oss"),), "pool 'lab' was asked for")),
        ("best", Route((Target("lab", "qwen3"),), "models entry 'best' in pool 'lab'")),
        ("top", Route((Target("lab", "top"),), "pool 'lab' was asked for")),
    ],
    ids=["plain name", "own prefix", "foreign prefix", "entry with a target there", "entry without"],
)
def test_a_request_can_be_limited_to_a_pool(model: str, expected: Route) -> None:
    table = _table({"best": _to("openai/gpt-5.5", "lab/qwen3"), "top": _to("anthropic/claude-opus-5")})

    assert table.resolve(model, "lab") == expected


def test_a_pool_that_does_not_exist_is_an_unknown_model() -> None:
    with pytest.raises(UnknownModel, match="there is no pool 'nowhere'"):
        _table().resolve("gpt-5", "nowhere")


def test_names_are_those_the_configuration_spells_out() -> None:
    table = _table({"best": _to("lab/a"), "fast-*": _to("lab/*"), "qwen3": _to("lab/qwen3")})

    assert table.names() == ["best", "qwen3"]


def test_what_it_was_built_with_can_be_shown() -> None:
    table = _table({"best": _to("lab/a")})

    assert table.pools == ["anthropic", "lab", "openai"]
    assert table.chains == {"best": _to("lab/a")}
    assert table.families == {"gpt-*": ["openai"], "o[0-9]*": ["openai"], "claude-*": ["anthropic"]}
