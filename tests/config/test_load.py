from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.config.load import build, load, route_table, well_known_accounts
from aiclient2api.errors import ConfigError
from aiclient2api.providers.credentials import Secret
from aiclient2api.providers.registry import ProviderRegistry
from aiclient2api.routing.targets import Target

# the example of the interface document
EXAMPLE = """\
server: {host: 127.0.0.1, port: 3000, workers: 1, drain: 120s}
store: {url: embedded, data_dir: ~/.local/share/aiclient2api}
keys:
  - {name: me, key: env:AICLIENT2API_KEY}
accounts:
  openai-a:   {provider: openai,    api_key: env:OPENAI_API_KEY}
  openai-b:   {provider: openai,    api_key: file:openai_b, concurrency: 32, models: ["gpt-*", "o[0-9]*"]}
  claude-a:   {provider: anthropic, api_key: env:ANTHROPIC_API_KEY}
  gem-a:      {provider: gemini,    api_key: env:GEMINI_API_KEY}
  lab:        {provider: openai_compatible, base_url: "http://127.0.0.1:8000/v1", api_key: none, pool: lab}
  resp-only:  {provider: openai, api_key: env:KEY, protocol: openai_responses, pool: r}
models:
  best:      {targets: [anthropic/claude-opus-5, openai/gpt-5.5]}
  "gpt-*":   {targets: ["openai/*", "lab/*"]}
policy: {attempts: 5, strict: false, affinity: conversation}
limits: {body: 32MiB, streams_per_worker: 1000}
system_prompt: {mode: append, text: ""}
"""
ENVIRON = {
    "AICLIENT2API_KEY": "sk-gw-0123456789abcdef",
    "OPENAI_API_KEY": "sk-a",
    "ANTHROPIC_API_KEY": "sk-c",
    "GEMINI_API_KEY": "sk-g",
    "KEY": "sk-r",
}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "aiclient2api.yaml"
    path.write_text(EXAMPLE)
    (tmp_path / "openai_b").write_text("sk-b\n")
    return path


def test_the_documented_example_is_a_configuration(example: Path) -> None:
    config = load(example, environ=ENVIRON)

    assert config.source == example
    assert [(key.name, key.key) for key in config.keys] == [("me", Secret("sk-gw-0123456789abcdef"))]
    assert {name: [a.name for a in members] for name, members in config.pools.items()} == {
        "openai": ["openai-a", "openai-b"],
        "anthropic": ["claude-a"],
        "gemini": ["gem-a"],
        "lab": ["lab"],
        "r": ["resp-only"],
    }
    assert config.accounts["openai-b"].concurrency == 32
    assert sorted(config.providers) == ["anthropic", "gemini", "openai", "openai_compatible"]
    assert config.system_prompt.prompt() is None
    assert config.store.url == "embedded"
    assert config.warnings == ()


def test_no_secret_shows_in_a_configuration(example: Path) -> None:
    shown = repr(load(example, environ=ENVIRON))

    assert not [value for value in (*ENVIRON.values(), "sk-b") if value in shown]


def test_later_sources_win(example: Path) -> None:
    environ = {**ENVIRON, "AICLIENT2API__SERVER__PORT": "4000", "AICLIENT2API__POLICY__ATTEMPTS": "2"}

    config = load(example, environ=environ, overrides={"server": {"port": 5000}})

    assert (config.server.port, config.policy.attempts) == (5000, 2)


def test_an_account_can_be_changed_by_a_variable(example: Path) -> None:
    environ = {
        **ENVIRON,
        "AICLIENT2API__ACCOUNTS__OPENAI_A__API_KEY": "0123",
        "AICLIENT2API__ACCOUNTS__LAB__POOL": "x",
    }

    with pytest.raises(ConfigError, match="no account is in pool 'lab'"):
        load(example, environ=environ)
    del environ["AICLIENT2API__ACCOUNTS__LAB__POOL"]
    account = load(example, environ=environ).accounts["openai-a"]

    assert account.spec.build(account.settings).credentials.secret == Secret("0123")


def test_its_routes_follow_the_documented_order(example: Path) -> None:
    routes = route_table(load(example, environ=ENVIRON))

    assert routes.resolve("best").targets == (
        Target("anthropic", "claude-opus-5"),
        Target("openai", "gpt-5.5"),
    )
    assert routes.resolve("gpt-5").targets == (Target("openai", "gpt-5"), Target("lab", "gpt-5"))
    assert routes.resolve("o3").targets == (Target("openai", "o3"),)
    assert routes.resolve("r/gpt-5").targets == (Target("r", "gpt-5"),)
    assert routes.resolve("gemini-3-pro").rule == "family 'gemini-*'"


def test_without_accounts_the_well_known_variables_make_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "OPENAI_API_KEY": "a",
        "GOOGLE_API_KEY": "g",
    }

    config = load(environ=environ)

    assert {account.name: account.settings for account in config.accounts.values()}.keys() == {
        "openai",
        "gemini",
    }
    assert config.source is None


@pytest.mark.parametrize(
    ("environ", "variables"),
    [
        ({}, {}),
        ({"OPENAI_API_KEY": " "}, {}),
        ({"GEMINI_API_KEY": "a", "GOOGLE_API_KEY": "b"}, {"gemini": "env:GEMINI_API_KEY"}),
        ({"GOOGLE_API_KEY": "b"}, {"gemini": "env:GOOGLE_API_KEY"}),
        (
            {"GROQ_API_KEY": "x", "ANTHROPIC_API_KEY": "y"},
            {"groq": "env:GROQ_API_KEY", "anthropic": "env:ANTHROPIC_API_KEY"},
        ),
    ],
)
def test_the_first_variable_that_is_set_counts(environ: dict[str, str], variables: dict[str, str]) -> None:
    accounts = well_known_accounts(ProviderRegistry.installed(), environ)

    assert accounts == {name: {"provider": name, "api_key": variable} for name, variable in variables.items()}


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        """\
server: {host: 0.0.0.0, prot: 1, drain: 5, workers: 0}
policy: {affinity: maybe, attempts: 99}
keys: [{name: me, key: env:NOPE}]
accounts:
  a: {provider: openai, api_key: env:X, timeouts: {idle: 5}}
  b: {provider: opnai, pool: b}
models:
  x: {targets: [y, openai/*]}
  y: {targets: [x], context_fallback: nope/x}
nonsense: 1
"""
    )

    with pytest.raises(ConfigError) as caught:
        load(path, environ={})

    assert caught.value.problems == [
        "nonsense: unknown key (known: accounts, keys, ledger, limits, log, models, net, policy, providers, secrets, server, "
        "store, system_prompt)",
        "server.prot: unknown key, did you mean 'port'?",
        "server.workers: expected 'int' >= 1",
        "server.drain: must be a duration like 250ms, 30s or 5m, not 5",
        "keys[0].key: environment variable NOPE is not set",
        "policy.attempts: expected 'int' <= 10",
        "policy.affinity: must be one of off, conversation, prompt_cache, not 'maybe'",
        "accounts.a.timeouts.idle: must be a duration like 250ms, 30s or 5m, not 5",
        "accounts.a.api_key: environment variable X is not set",
        "accounts.b.provider: unknown provider 'opnai' (known: anthropic, anthropic_compatible, deepseek, gemini, "
        "gemini_compatible, groq, mistral, openai, openai_compatible, openrouter, simulator, xai)",
        "models.x.targets[0]: a loop of models entries: x -> y -> x",
        "models.y.targets[0]: a loop of models entries: y -> x -> y",
        "models.y.context_fallback: 'nope/x' leads nowhere: no account is in pool 'nope' (pools: b, openai)",
    ]


def test_a_file_that_is_named_must_exist() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(environ={"AICLIENT2API_CONFIG": "/nowhere/at/all.yaml"})


def test_plain_data_can_be_built_without_a_file() -> None:
    config = build({"accounts": {"a": {"provider": "openai", "api_key": "sk-1"}}}, environ={})

    assert config.warnings == ()
    assert config.families["gpt-*"] == "openai"
