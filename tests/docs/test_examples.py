"""What the pages show works as pasted."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from aiclient2api.config.load import build, route_table
from aiclient2api.config.sources import parse_yaml
from aiclient2api.simulator.scenario import Scenario
from tests.docs.pages import Block, blocks
from tests.program import DEADLINE, Program, serving_program, simulating

README_ADDRESS, SIMULATOR_ADDRESS = "http://127.0.0.1:3000", "http://127.0.0.1:3999"
PREAMBLE = 'import os; KEY = os.environ["KEY"]'


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_yaml_examples_load_without_a_warning(block: Block, tmp_path: Path) -> None:
    data = parse_yaml(block.text, block.page)
    if isinstance(data, list):
        assert Scenario.load(block.text).rules
        return
    environ = dict.fromkeys(re.findall(r"env:(\w+)", block.text), "a-secret-of-the-environment")
    if "url: env:REDIS_URL" in block.text:
        environ["REDIS_URL"] = "redis://127.0.0.1"
    for name in re.findall(r'"file:(\w+)"', block.text):
        (tmp_path / name).write_text("a-secret-of-a-file")
    config = build(cast(Mapping[str, object], data), environ=environ, source=tmp_path / "gateway.yaml")
    assert config.warnings == ()
    assert set(route_table(config).chains) == set(config.models)


# ---- README, against the demo that it starts


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with serving_program(tmp_path_factory.mktemp("demo"), None, "--port", "0") as program:
        yield program


def curls(name: str) -> list[str]:
    """Every curl command of a page, continued lines joined."""
    text = "\n".join(block.text for block in blocks("sh", name)).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("curl ")]


def send(command: str, environ: Mapping[str, str], addresses: Mapping[str, str]) -> dict[str, Any]:
    """What curl would do: a POST with these headers and this body."""
    words = shlex.split(re.sub(r"\$(\w+)", lambda found: environ[found[1]], command))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1]
    url = next(word for word in words if word.startswith("http"))
    for shown, real in addresses.items():
        url = url.replace(shown, real)
    with urllib.request.urlopen(
        urllib.request.Request(url, body.encode(), headers), timeout=DEADLINE
    ) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize(
    "command", curls("README.md"), ids=lambda command: command.split()[2].partition("3000")[2]
)
def test_the_curl_lines_of_the_readme_are_answered(demo: Program, command: str) -> None:
    answer = send(command, {"KEY": demo.printed_key or ""}, {README_ADDRESS: demo.url})
    assert "You said: Hello" in json.dumps(answer)
    assert (answer.get("model") or answer["modelVersion"]).startswith("simulator/")


def test_the_sdk_snippets_of_the_readme_run(demo: Program) -> None:
    assert PREAMBLE in "".join(block.text for block in blocks("sh", "README.md"))
    snippets = [block.text.replace(README_ADDRESS, demo.url) for block in blocks("python", "README.md")]
    assert len(snippets) == 4
    program = "\n".join([PREAMBLE, *snippets])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KEY": demo.printed_key or ""},
        capture_output=True,
        text=True,
        timeout=DEADLINE * 3,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("You said: Hello") == 4


# ---- the simulator's page


def test_the_simulators_curl_line_calls_the_tool() -> None:
    (command,) = [line for line in curls("docs/simulator.md") if SIMULATOR_ADDRESS in line]
    with simulating() as (_, url):
        answer = send(command, {}, {SIMULATOR_ADDRESS: url})
    call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    assert call == {"name": "weather", "arguments": '{"city":"Paris"}'}


def test_the_simulators_failover_example_does_what_its_comment_says(tmp_path: Path) -> None:
    scenario, configuration = (block.text for block in blocks("yaml", "docs/simulator.md"))
    (comment,) = re.findall(
        r"^# x-a2-explain: (.*)$", blocks("sh", "docs/simulator.md")[-1].text, re.MULTILINE
    )
    with simulating() as (simulator, url):
        for rule in Scenario.load(scenario).rules:
            simulator.scenario.add(rule)
        data = cast(dict[str, Any], parse_yaml(configuration.replace(SIMULATOR_ADDRESS, url), "example"))
        with serving_program(tmp_path, data) as program:
            body = json.dumps(
                {"model": "claude/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
            )
            headers = {"x-api-key": "a-long-secret-of-my-own", "x-a2-explain": "1"}
            request = urllib.request.Request(f"{program.url}/v1/messages", body.encode(), headers)
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                explained = answer.headers["x-a2-explain"]
    assert explained == comment


def test_the_simulators_python_example_runs(tmp_path: Path) -> None:
    (block,) = blocks("python", "docs/simulator.md")
    command = [sys.executable, "-W", "error", "-c", block.text]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
