"""Every feature is driven for a while on the oldest Redis there is: which commands it is asked, what it has to keep."""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from msgspec import Struct

from aiclient2api.cli import main
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.store import keys
from tests.fakes.identity_server import CLIENT, identity_server
from tests.harness import KEY, four_pools
from tests.integration.test_side_table import ASKED, going_on, rebuilt
from tests.integration.test_side_table import ask as ask_with_tools
from tests.program import Program, serving_program, simulating
from tests.store.servers import REDIS_62, Server, running, until

ROUNDS = 4
COMMANDS = frozenset(
    ("auth", "exec", "exists", "expire", "get", "hdel", "hgetall", "hincrby", "hset", "incrby", "info", "mget", "multi",
     "pexpire", "ping", "pttl", "renamenx", "scan", "select", "set", "time", "type", "unlink", "unwatch", "watch", "zadd",
     "zrangebyscore", "zrem", "zremrangebyscore")
)  # fmt: skip
"""All of them are those of Redis 6.2, look at one key or a few, and run no script."""
TURN = [{"role": "user", "content": "hi"}]


class Kept(Struct, frozen=True):
    """A key as it was found."""

    size: int
    """Of its value: members of a hash or a set, 1 of a text."""
    ttl: int
    """Seconds, negative for ever."""


class Seen(Struct, frozen=True):
    """What the store told in the end. `kept` before and after the second half of the requests."""

    used: Mapping[str, Mapping[str, int]]
    kept: tuple[dict[str, Kept], dict[str, Kept]]
    accounts: int
    pools: int


def sections(url: str, idp_url: str, refresh: str, store: str) -> dict[str, Any]:
    compatible = {"provider": "openai_compatible", "base_url": f"{url}/v1", "pool": "chat"}
    oauth = {
        "grant": "refresh_token",
        "client_id": CLIENT,
        "token_url": f"{idp_url}/token",
        "refresh_token": refresh,
    }
    return {
        "accounts": {
            **four_pools(url)["accounts"],
            "chat-2": {**compatible, "api_key": "upstream-chat-2"},
            "refused": {**compatible, "api_key": "not-a-key"},
            "sub": {"provider": "openai_compatible", "base_url": f"{idp_url}/v1", "pool": "oauth", "oauth": oauth},
        },
        "keys": [{"name": "tests", "key": KEY, "rpm": 100_000, "tpm": 100_000_000, "concurrency": 100}],
        "secrets": {"key": "a secret that both nodes have"},
        "store": {"url": store},
    }  # fmt: skip


def post(url: str, path: str, body: dict[str, Any], key: str = KEY) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(url + path, json=body, headers=headers, timeout=60, verify=False).status_code


def serve(url: str, key: str) -> Counter[int]:
    """One request of every kind that leaves something behind; the statuses."""
    first = ask_with_tools(url, "claude/m", [ASKED])
    ask_with_tools(url, "claude/m", going_on(rebuilt(first, stream=False)))
    return Counter(
        (
            *(post(url, "/v1/chat/completions", {"model": "chat/m", "messages": TURN}) for _ in range(3)),
            post(url, "/v1/chat/completions", {"model": "oauth/m", "messages": TURN}),
            post(url, "/v1/chat/completions", {"model": "gemini/m", "messages": TURN}, key),
            post(
                url, "/v1/messages", {"model": "claude/m", "max_tokens": 9, "messages": TURN, "stream": True}
            ),
            post(url, "/v1/responses", {"model": "responses/m", "input": "hi", "store": True}),
        )
    )


def talk(nodes: list[Program], key: str) -> None:
    with ThreadPoolExecutor(2 * len(nodes)) as pool:
        urls = [node.url for node in nodes] * ROUNDS
        assert sum(pool.map(lambda url: serve(url, key), urls), Counter()) == {200: 7 * len(urls)}


def command(node: Program, *arguments: str) -> str:
    printed = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(printed, write_through=True)):
        assert main.run([*arguments, "--config", str(node.config)]) == 0
        return printed.getvalue().decode().strip()


def administer(node: Program) -> str:
    """Every command that changes the store; a client key of it."""
    key = command(node, "keys", "create", "ci", "--rpm", "100000")
    key = command(node, "keys", "rotate", "ci", "--overlap", "0s")
    command(node, "keys", "create", "off")
    command(node, "keys", "disable", "off")
    command(node, "keys", "remove", "off")
    for word in ("disable", "enable", "retry"):
        command(node, "accounts", word, "chat-2")
    command(node, "accounts", "list", "--shared")
    command(node, "usage")
    command(node, "state", "export", str(node.config.parent / "state.json"))
    command(node, "state", "import", str(node.config.parent / "state.json"), "--force")
    command(node, "state", "migrate")
    return key


def walked(client: redis.Redis) -> dict[str, Kept]:
    """Every key there is."""
    sizes = {b"hash": client.hlen, b"zset": client.zcard, b"string": lambda _: 1}
    found: dict[str, Kept] = {}
    for name in client.scan_iter(count=1000):
        kind: Any = client.type(name)
        ttl: Any = client.ttl(name)
        if kind != b"none":
            size: Any = sizes[kind](name)
            found[name.decode()] = Kept(int(size), int(ttl))
    return found


def drive(folder: Path, server: Server) -> Seen:
    with ExitStack() as stack:
        idp = stack.enter_context(identity_server())
        admitted = tuple(f"upstream-{name}-1" for name in ("chat", "responses", "claude", "gemini"))
        settings = SimulatorSettings(keys=(*admitted, "upstream-chat-2"))
        _, url = stack.enter_context(simulating(settings))
        given = sections(url, idp.url, idp.identity.enrol(), server.url)
        nodes: list[Program] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            nodes.append(stack.enter_context(serving_program(folder / name, given)))
        key = administer(nodes[0])
        for node in nodes:
            until(
                lambda node=node: (
                    post(node.url, "/v1/chat/completions", {"model": "oauth/m", "messages": TURN}) == 200
                )
            )
            until(lambda node=node: serve(node.url, key) == {200: 7})
        talk(nodes, key)
        assert nodes[1].stop() == 0
        nodes[1] = stack.enter_context(serving_program(folder / "two", given))
        client = stack.enter_context(server.admin())
        until(lambda: client.zcard(keys.nodes()) == 2)
        before = walked(client)
        talk(nodes, key)
        for node in nodes:
            assert node.stop() == 0
        stats: Any = client.info("commandstats")
        used = {name.removeprefix("cmdstat_"): members for name, members in stats.items()}
        return Seen(used, (before, walked(client)), len(given["accounts"]), len(four_pools("")["accounts"]) + 1)  # fmt: skip


@pytest.mark.timeout(300)
def test_the_store_is_asked_only_what_redis_6_2_knows_and_keeps_only_what_ends_or_is_counted(
    tmp_path: Path,
) -> None:
    with running(REDIS_62) as server:
        seen = drive(tmp_path, server)

    only_known_commands(seen)
    every_key_ends_by_itself_or_is_one_of_a_known_number(seen)
    what_ends_is_what_grows_with_requests(seen)


def only_known_commands(seen: Seen) -> None:
    """None that looks at everything, and no script."""
    own = {"hlen", "zcard", "ttl", "hello", "client"}
    """Of this test."""
    assert set(seen.used) - own <= COMMANDS
    assert {"watch", "multi", "exec", "hincrby", "incrby", "mget", "set", "unlink", "zadd"} <= set(seen.used)
    failed = {
        name for name, counts in seen.used.items() if counts["failed_calls"] or counts["rejected_calls"]
    }
    assert failed <= own, "no command of ours was refused"


def every_key_ends_by_itself_or_is_one_of_a_known_number(seen: Seen) -> None:
    bounds = {
        r"meta|\{accounts\}:(epoch|version|admin|added|added:version)|\{keys\}:(records|version)": 8,
        r"\{accounts\}:count:[^:]+": seen.accounts,
        r"\{cred:sub\}:(token|fence)": 2,
        r"rr:[^:]+": seen.pools,
    }
    lasting_before, lasting = (
        # its members end by themselves
        {name: kept for name, kept in found.items() if kept.ttl < 0 and name != keys.nodes()}
        for found in seen.kept
    )

    assert all(name.startswith(keys.PREFIX) for found in seen.kept for name in found)
    names = [name.removeprefix(keys.PREFIX) for name in lasting]
    found = {pattern: [name for name in names if re.fullmatch(pattern, name)] for pattern in bounds}
    assert sorted(name for group in found.values() for name in group) == sorted(names), "nothing else lasts"
    assert {pattern: len(group) for pattern, group in found.items() if len(group) > bounds[pattern]} == {}
    # and what lasts does not grow with the number of requests, neither in number nor in size
    assert lasting == lasting_before


def what_ends_is_what_grows_with_requests(seen: Seen) -> None:
    before, after = seen.kept
    grown = {name for name in after if name not in before}

    # how many batches depends on how long the requests took: one for half a second
    assert any(":batch:" in name for name in grown), "the second half of the requests left something"
    assert all(0 <= after[name].ttl <= 400 * 86_400 for name in grown)
    carried = [name for name in after if name.startswith("a2:v1:carry:tests:")]
    pins = [name for name in after if name.startswith("a2:v1:pin:tests:")]
    assert carried and pins, "the features whose keys are counted by requests were in use"
