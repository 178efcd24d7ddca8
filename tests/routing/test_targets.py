from __future__ import annotations

import pytest

from aiclient2api.routing.targets import Chain, Entry, Target, expand

POOLS = ["openai", "anthropic", "lab"]


def test_a_chain_keeps_the_order_of_its_targets() -> None:
    chains, problems = expand({"best": Entry(["anthropic/claude-opus-5", "openai/gpt-5.5"])}, POOLS)

    assert problems == []
    assert chains == {"best": Chain((Target("anthropic", "claude-opus-5"), Target("openai", "gpt-5.5")))}


def test_an_entry_may_name_another_entry() -> None:
    entries = {"best": Entry(["openai/gpt-5.5", "cheap"]), "cheap": Entry(["lab/qwen3", "openai/gpt-5.5"])}

    chains, problems = expand(entries, POOLS)

    assert problems == []
    assert chains["best"].targets == (Target("openai", "gpt-5.5"), Target("lab", "qwen3"))


def test_an_entry_may_be_called_like_its_own_first_target() -> None:
    chains, problems = expand({"openai/gpt-5.5": Entry(["openai/gpt-5.5", "lab/qwen3"])}, POOLS)

    assert problems == []
    assert chains["openai/gpt-5.5"].targets == (Target("openai", "gpt-5.5"), Target("lab", "qwen3"))


def test_a_models_name_may_contain_slashes() -> None:
    chains, _ = expand({"llama": Entry(["lab/meta-llama/Llama-4"])}, POOLS)

    assert chains["llama"].targets == (Target("lab", "meta-llama/Llama-4"),)


def test_a_fallback_is_expanded_too() -> None:
    entries = {"a": Entry(["openai/gpt-5.5"], context_fallback="long"), "long": Entry(["lab/*"])}

    chains, problems = expand(entries, POOLS)

    assert problems == []
    assert chains["a"].context_fallback == (Target("lab", "*"),)


@pytest.mark.parametrize(
    ("entries", "problems"),
    [
        (
            {"x": Entry(["nowhere/gpt-5"])},
            [
                "models.x.targets[0]: 'nowhere/gpt-5' leads nowhere: no account is in pool 'nowhere' "
                "(pools: anthropic, lab, openai)"
            ],
        ),
        (
            {"x": Entry(["gpt-5"])},
            [
                "models.x.targets[0]: 'gpt-5' is neither pool/model nor an entry of models "
                "(pools: anthropic, lab, openai)"
            ],
        ),
        ({"x": Entry([])}, ["models.x.targets: needs at least one target"]),
        (
            {"x": Entry(["openai/gpt-*"])},
            ["models.x.targets[0]: 'openai/gpt-*' must be pool/model, or pool/* to keep the name"],
        ),
        (
            {"x": Entry(["openai/"])},
            ["models.x.targets[0]: 'openai/' must be pool/model, or pool/* to keep the name"],
        ),
        ({"x": Entry(["x"])}, ["models.x.targets[0]: a loop of models entries: x -> x"]),
        (
            {"x": Entry(["y"]), "y": Entry(["lab/a", "x"])},
            [
                "models.x.targets[0]: a loop of models entries: x -> y -> x",
                "models.y.targets[1]: a loop of models entries: y -> x -> y",
            ],
        ),
        (
            {"x": Entry(["lab/a"], context_fallback="x")},
            ["models.x.context_fallback: a loop of models entries: x -> x"],
        ),
        (
            {"x": Entry(["lab/a"], context_fallback="lab/a")},
            ["models.x.context_fallback: leads back to one of the entry's own targets"],
        ),
    ],
    ids=[
        "dangling pool",
        "dangling name",
        "empty",
        "pattern as model",
        "no model",
        "self",
        "loop of two",
        "fallback to itself",
        "fallback to a target",
    ],
)
def test_every_problem_has_its_key_path(entries: dict[str, Entry], problems: list[str]) -> None:
    assert expand(entries, POOLS)[1] == problems


def test_a_target_is_written_as_pool_and_model() -> None:
    assert str(Target("lab", "qwen3")) == "lab/qwen3"
