"""The private server of a data directory: one owner, stopped cleanly, started again, joined by others."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from aiclient2api.errors import ConfigError
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.embedded import Embedded, InUse, program, socket_path
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.opening import OpenStore, StoreSettings, open_store
from tests.store.servers import DEADLINE, until

Line = tuple[str, str, dict[str, object]]


class Said:
    """What was told to the log."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def __call__(self, level: str, event: str, fields: dict[str, object]) -> None:
        self.lines.append((level, event, fields))

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.lines]


def settings(folder: Path) -> StoreSettings:
    return StoreSettings(url="embedded", data_dir=folder, timeout=30.0)


@asynccontextmanager
async def opened(folder: Path, said: Said | None = None, *, joins: bool = False) -> AsyncIterator[OpenStore]:
    store = await open_store(settings(folder), said or Said(), joins=joins)
    try:
        yield store
    finally:
        await store.close()


async def come(condition: object, deadline: float = DEADLINE) -> None:
    """Wait for a change without holding up the loop that makes it."""
    assert callable(condition)
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.005)


def pid_of(folder: Path) -> int:
    client = redis.Redis(unix_socket_path=str(socket_path(folder / "store")), decode_responses=True)
    try:
        return int(client.info("server")["process_id"])
    finally:
        client.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_state_survives_a_stop(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await first.store.put("a2:v1:x", b"kept")
        pid = pid_of(tmp_path)

    assert not is_alive(pid)
    async with opened(tmp_path) as second:
        assert await second.store.get("a2:v1:x") == b"kept"
        assert pid_of(tmp_path) != pid


async def test_nobody_else_may_read_its_files_or_connect(tmp_path: Path) -> None:
    async with opened(tmp_path):
        folder = tmp_path / "store"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert socket_path(folder).stat().st_mode & 0o777 == 0o600
        client = redis.Redis(unix_socket_path=str(socket_path(folder)), decode_responses=True)
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.close()


async def test_a_second_owner_is_told_who_has_the_directory(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(ConfigError) as refused:
            await open_store(settings(tmp_path), Said())

    assert refused.value.problems == [
        f"store.data_dir: {tmp_path} is in use by process {os.getpid()}; stop it, or use another one"
    ]


async def test_a_command_joins_a_running_store_and_leaves_it_running(tmp_path: Path) -> None:
    async with opened(tmp_path) as owner:
        await owner.store.put("a2:v1:x", b"1")
        async with opened(tmp_path, joins=True) as guest:
            assert await guest.store.get("a2:v1:x") == b"1"
            await guest.store.put("a2:v1:x", b"2")
        assert await owner.store.get("a2:v1:x") == b"2"


async def test_a_command_without_a_running_store_starts_it_for_itself(tmp_path: Path) -> None:
    async with opened(tmp_path, joins=True) as guest:
        await guest.store.put("a2:v1:x", b"1")
        pid = pid_of(tmp_path)

    assert not is_alive(pid)


async def test_commands_at_once_share_a_server_until_the_last_one_is_done(tmp_path: Path) -> None:
    async def command(number: int) -> None:
        async with opened(tmp_path, joins=True) as guest:
            await guest.store.put(f"a2:v1:x{number}", b"1")

    await asyncio.gather(*(command(number) for number in range(8)))

    async with opened(tmp_path, joins=True) as guest:
        assert await guest.store.get_many([f"a2:v1:x{number}" for number in range(8)]) == [b"1"] * 8
        pid = pid_of(tmp_path)
    assert not is_alive(pid)


async def test_who_runs_the_server_waits_for_other_commands(tmp_path: Path) -> None:
    first = await open_store(settings(tmp_path), Said(), joins=True)
    second = await open_store(settings(tmp_path), Said(), joins=True)
    pid = pid_of(tmp_path)
    ending = asyncio.ensure_future(first.close())
    for number in range(20):
        await second.store.put(f"a2:v1:x{number}", b"1")
    assert is_alive(pid) and not ending.done()

    await second.close()
    await ending
    assert not is_alive(pid)


async def test_a_gateway_waits_for_a_command_that_has_the_directory(tmp_path: Path) -> None:
    command = await open_store(settings(tmp_path), Said(), joins=True)
    starting = asyncio.ensure_future(open_store(settings(tmp_path), Said()))
    await asyncio.wait([starting], timeout=0.1)
    assert not starting.done()
    await command.store.put("a2:v1:x", b"kept")
    await command.close()

    gateway = await starting
    assert await gateway.store.get("a2:v1:x") == b"kept"
    await gateway.close()


async def test_a_server_that_dies_is_started_again_with_its_state(tmp_path: Path) -> None:
    said = Said()
    async with opened(tmp_path, said) as owner:
        back = asyncio.Event()
        owner.store.on_return.append(back.set)
        await owner.store.put("a2:v1:x", b"kept")
        # everysec: what is a second old has been written
        client = redis.Redis(unix_socket_path=str(socket_path(tmp_path / "store")))
        client.execute_command("WAITAOF", 1, 0, 5000)
        client.close()
        os.kill(pid_of(tmp_path), signal.SIGKILL)
        await come(lambda: "store_started_again" in said.events)

        value: bytes | None = None
        async with asyncio.timeout(DEADLINE):
            while value is None:
                try:
                    value = await owner.store.get("a2:v1:x")
                except StoreUnavailable:
                    await asyncio.sleep(0.01)

    assert value == b"kept"
    assert said.events[0] == "store_died"


async def test_a_server_that_outlived_its_owner_is_taken_over(tmp_path: Path) -> None:
    binary = program()
    assert binary is not None
    said = Said()
    killed = Embedded(tmp_path, binary, said)
    await killed.start()
    pid = pid_of(tmp_path)
    # what is left of an owner that was killed: no lock, no watcher, but the server
    watcher, lock = killed._watcher, killed._lock  # pyright: ignore[reportPrivateUsage]
    assert watcher is not None and lock is not None
    watcher.cancel()
    os.close(lock)

    async with opened(tmp_path, said) as heir:
        await heir.store.put("a2:v1:x", b"1")
        assert pid_of(tmp_path) == pid

    assert said.events == ["store_taken_over"]
    until(lambda: killed._process is not None and killed._process.poll() is not None)  # pyright: ignore[reportPrivateUsage]


async def test_a_foreign_server_is_left_alone(tmp_path: Path) -> None:
    """Another server with its socket elsewhere and the same program is none of our business."""
    other = tmp_path / "other"
    async with opened(other):
        pid = pid_of(other)
        async with opened(tmp_path / "mine"):
            assert pid_of(tmp_path / "mine") != pid
        assert is_alive(pid)


async def test_files_that_are_no_state_are_reported_and_not_touched(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await first.store.put("a2:v1:x", b"1")
    manifest = next((tmp_path / "store" / "appendonlydir").glob("*.manifest"))
    manifest.write_text("this is no manifest\n")

    with pytest.raises(ConfigError) as refused:
        await open_store(settings(tmp_path), Said())

    assert refused.value.problems[0].startswith("the embedded store does not start: ")
    assert manifest.read_text() == "this is no manifest\n"
    with pytest.raises(ConfigError):  # and the directory is free again: the same sentence, not "in use"
        await open_store(settings(tmp_path), Said())


async def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    async with opened(folder) as owner:
        await owner.store.put("a2:v1:x", b"1")
        path = socket_path(folder / "store")

        assert len(str(path)) < 100
        assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_without_any_program_there_is_memory_and_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiclient2api.store.embedded.program", lambda: None)

    async with opened(tmp_path) as store:
        assert isinstance(store.store, MemoryStore)
        assert "FORGOTTEN" in store.warnings[0]


def test_a_program_on_the_path_is_the_second_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiclient2api.store.embedded.find_spec", lambda _name: None)
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert program() == server


async def test_the_owners_error_names_the_directory(tmp_path: Path) -> None:
    error = InUse(tmp_path, "42")

    assert str(error) == f"store.data_dir: {tmp_path} is in use by process 42; stop it, or use another one"
