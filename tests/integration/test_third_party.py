"""A package of somebody else adds a provider and a protocol; nothing here knows of it but by its entry points."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from tests.program import Program, run, serving_program, simulating, write_config

SOURCE = Path(__file__).parent / "third_party"
KEY = "client-key-of-the-tests"


def pip(*arguments: str) -> None:
    common = ["--disable-pip-version-check", "--no-cache-dir", "--no-index", "--no-deps", "--quiet"]
    command, *rest = arguments
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, *common, *rest],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, built as a wheel and installed from it."""
    folder = tmp_path_factory.mktemp("third_party")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder / "wheels"), str(folder / "source"))
    [wheel] = (folder / "wheels").iterdir()
    assert wheel.name == "acme_gateway-1.0-py3-none-any.whl"
    pip("install", "--target", str(folder / "site"), str(wheel))
    return folder / "site"


def sections(url: str) -> dict[str, Any]:
    return {
        "keys": [{"name": "me", "key": KEY}],
        "accounts": {
            "theirs": {"provider": "acme", "token": "secret-7", "address": url},
            "ours": {
                "provider": "openai_compatible",
                "base_url": f"{url}/v1",
                "api_key": "k",
                "pool": "chat",
            },
        },
    }


@pytest.fixture(scope="module")
def gateway(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Simulator]]:
    folder = tmp_path_factory.mktemp("gateway")
    with (
        simulating() as (simulator, url),
        serving_program(folder, sections(url), environ={"PYTHONPATH": str(installed)}) as program,
    ):
        yield program, simulator


def ask(program: Program, key: str = KEY, **body: Any) -> httpx.Response:
    return httpx.post(f"{program.url}/plain/ask", json=body, headers={"x-api-key": key})


@pytest.mark.parametrize("model", ["acme-1", "acme/m", "chat/m"])
def test_its_protocol_is_answered_by_every_upstream(gateway: tuple[Program, Simulator], model: str) -> None:
    program, _ = gateway

    answer = ask(program, model=model, prompt="Hello there")

    assert answer.json() == {"text": "You said: Hello there"}
    upstream = "openai_chat" if model == "chat/m" else "anthropic"
    assert answer.headers["x-a2-conversion"].split(";")[0] == f"plain>{upstream}"
    assert answer.headers["content-type"] == "application/json"


def test_its_protocol_is_streamed(gateway: tuple[Program, Simulator]) -> None:
    answer = ask(gateway[0], model="acme-1", prompt="Hello", stream=True)

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"piece": "You"},
        {"piece": " said:"},
        {"piece": " Hello"},
        {"end": True},
    ]


def test_mistakes_are_told_in_its_protocol(gateway: tuple[Program, Simulator]) -> None:
    program, _ = gateway

    malformed, unknown, refused = (
        ask(program, prompt=5),
        ask(program, model="nobody", prompt="x"),
        ask(program, key="no", model="m"),
    )

    assert (malformed.status_code, unknown.status_code, refused.status_code) == (400, 404, 401)
    for answer in (malformed, unknown, refused):
        assert set(answer.json()) == {"failed"}


def test_its_provider_serves_the_built_in_protocols(gateway: tuple[Program, Simulator]) -> None:
    program, simulator = gateway
    body = {"model": "acme-1", "messages": [{"role": "user", "content": "Hello"}]}

    answer = httpx.post(f"{program.url}/v1/chat/completions", json=body, headers={"x-api-key": KEY})

    assert answer.json()["choices"][0]["message"]["content"] == "You said: Hello"
    assert answer.headers["x-a2-target"] == "acme/acme-1"
    assert simulator.requests[-1].key == "acme-secret-7"


def test_the_command_line_knows_both(installed: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, sections("http://127.0.0.1:1"))
    checked = run(
        tmp_path, "check", "--config", str(config), "--json", environ={"PYTHONPATH": str(installed)}
    )
    without = run(tmp_path, "check", "--config", str(config))

    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["accounts"][0]["provider"] == "acme"
    assert without.returncode == 2
    assert "accounts.theirs.provider: unknown provider 'acme'" in without.stderr


def plug_in(folder: Path, code: str, **entry_points: str) -> dict[str, str]:
    """An installed package as far as entry points go; the environment in which it is found."""
    site = folder / "site"
    metadata = site / "plug_in-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    groups = (f"[aiclient2api.{group}]\n{lines}\n" for group, lines in entry_points.items())
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    (site / "plug_in.py").write_text(code)
    return {"PYTHONPATH": str(site)}


BROKEN = [
    pytest.param(
        {"providers": "gone = plug_in_gone:SPEC\nwrong = plug_in:NUMBER"},
        [
            "provider plug-in 'gone' (plug_in_gone:SPEC) cannot be loaded: ModuleNotFoundError(\"No module named 'plug_in_gone'\")",
            "provider plug-in 'wrong' (plug_in:NUMBER) is not a ProviderSpec",
        ],
        id="providers",
    ),
    pytest.param(
        {
            "protocols": "gone = plug_in:NOTHING\nwrong = plug_in:NUMBER\nkind = plug_in:Converter\ntwice = plug_in:TWICE"
        },
        [
            "protocol plug-in 'gone' (plug_in:NOTHING) cannot be loaded: AttributeError(\"module 'plug_in' has no attribute 'NOTHING'\")",
            "protocol plug-in 'wrong' (plug_in:NUMBER) is not a Converter instance",
            "protocol plug-in 'kind' (plug_in:Converter) is not a Converter instance",
            "protocol plug-in 'twice' (plug_in:TWICE): the protocol 'anthropic' exists already",
        ],
        id="protocols",
    ),
]
CODE = """
from aiclient2api.protocols.anthropic import AnthropicConverter as Converter
TWICE = Converter()
NUMBER = 7
"""


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize(("entry_points", "problems"), BROKEN)
def test_broken_ones_stop_the_start_and_are_all_named(
    tmp_path: Path, entry_points: dict[str, str], problems: list[str], command: str
) -> None:
    environ = plug_in(tmp_path, CODE, **entry_points)
    account = {"provider": "anthropic", "api_key": "k"}

    ended = run(
        tmp_path,
        command,
        "--config",
        str(write_config(tmp_path, {"accounts": {"a": account}})),
        environ=environ,
    )

    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [f"error: {problem}" for problem in problems]


def test_a_provider_whose_protocol_nobody_provides_is_a_mistake_of_the_account(tmp_path: Path) -> None:
    code = """
import msgspec
from aiclient2api.providers.base import ProviderSpec

class Settings(msgspec.Struct):
    pass

class Provider:
    protocols = ("morse",)

SPEC = ProviderSpec("telegraph", Settings, lambda settings: Provider())
"""
    environ = plug_in(tmp_path, code, providers="telegraph = plug_in:SPEC")

    ended = run(
        tmp_path,
        "serve",
        "--config",
        str(write_config(tmp_path, {"accounts": {"a": {"provider": "telegraph"}}})),
        environ=environ,
    )

    assert ended.returncode == 2
    assert ended.stderr == "error: accounts.a: telegraph speaks morse, which no installed package provides\n"
