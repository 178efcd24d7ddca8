"""What failover, cancellation, overload and stopping cost: each figure a ratio or a percentile of one run.

The gateway is a process of its own; upstreams and clients share this one, so times include their share of a core.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct
from tests.faults.asking import Question, request_bytes
from tests.faults.catalogue import HEALTHY
from tests.faults.dying import Dying
from tests.faults.fleet import KEY, complaint, fresh_nonce, gateway, many
from tests.faults.many import call
from tests.faults.reports import open_files, percentile, rss_mib
from tests.faults.rig import account
from tests.faults.script import End, Gate, Head, Play, Refuse, Say, Sleep, Stall, Whole
from tests.faults.server import FaultServer
from tests.faults.voices import CHAT, MESSAGES, PROTOCOLS

REFUSING = Play(stream=((Refuse("bad key"),),), unary=((Refuse("bad key"),),))
STALLED = Play(stream=((Head(), Say(("prelude", "content")), Stall()),), unary=((Stall(),),))


class Figure(Struct, frozen=True):
    """One row of the report."""

    name: str
    measured: str
    goal: str
    holds: bool


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _pool(url: str, name: str, labels: list[str], protocol: str = CHAT, **more: object) -> dict[str, Any]:
    return {label: account(url, protocol, label, f"key-{label}", pool=name, **more) for label in labels}


async def _timed(url: str, model: str) -> float:
    question = Question(protocol=CHAT, model=model, nonce=fresh_nonce(), stream=False)
    began = time.perf_counter()
    await call(question, url, KEY, lambda _: None)
    return time.perf_counter() - began


async def failover(scale: float) -> list[Figure]:
    """A request whose first account refuses, against one whose first account answers; fresh pools for each."""
    count = int(400 * scale)
    server = FaultServer(lambda label: REFUSING if label.startswith("bad") else HEALTHY)
    async with server.running() as url:
        accounts: dict[str, Any] = {}
        for number in range(count):
            accounts |= _pool(url, f"bad-{number}", [f"bad.a{number}", f"good.b{number}"])
            accounts |= _pool(url, f"fine-{number}", [f"good.c{number}", f"good.d{number}"])
        policy = {"throttle": {"samples": 1_000_000}, "retries": {"budget_floor": 1e6, "budget_cap": 1e6}}
        async with gateway({"accounts": accounts, "policy": policy}) as program:
            slow, plain = list[float](), list[float]()
            for number in range(count):  # in turn, so that noise falls on both
                plain.append(await _timed(program.url, f"fine-{number}/m"))
                slow.append(await _timed(program.url, f"bad-{number}/m{number}"))
    base = percentile(plain, 0.5)
    p50, p99 = percentile(slow, 0.5) - base, percentile(slow, 0.99) - base
    noise = percentile(plain, 0.99) - base
    return [
        Figure("added by one failover, p50", _ms(p50), "≤ 3 ms", p50 <= 0.003),
        Figure("added by one failover, p99", f"{_ms(p99)} (without failover: {_ms(noise)})", "≤ 15 ms", p99 <= 0.015),
    ]  # fmt: skip


async def steady(scale: float) -> list[Figure]:
    """Eight accounts, one of them dead for a while, against eight healthy ones; asked in turn, in rounds."""
    each, rounds = max(20, int(800 * scale)), 5
    server = FaultServer(lambda label: REFUSING if label == "bad" else HEALTHY)
    ratios: list[float] = []
    async with server.running() as url:
        accounts = _pool(url, "dead", ["bad", *(f"d{n}" for n in range(7))])
        accounts |= _pool(url, "fine", [f"f{n}" for n in range(8)])
        async with gateway({"accounts": accounts}) as program:
            await many(program.url, "dead/m", 100, 4, protocols=[CHAT])
            for _ in range(rounds):
                seen: dict[str, list[float]] = {"dead": [], "fine": []}
                left = iter(range(each))

                async def work(seen: dict[str, list[float]] = seen, left: Any = left) -> None:
                    for _ in left:
                        for pool, times in seen.items():
                            times.append(await _timed(program.url, f"{pool}/m"))

                await asyncio.gather(*(work() for _ in range(4)))
                ratios.append(percentile(seen["dead"], 0.99) / percentile(seen["fine"], 0.99) - 1)
    ratio = median(ratios)
    shown = f"{ratio:+.1%} (median of {rounds} rounds, {min(ratios):+.1%} to {max(ratios):+.1%})"
    return [Figure("p99 with one of eight accounts dead, against none", shown, "≤ +5 %", ratio <= 0.05)]


async def all_out(scale: float) -> list[Figure]:
    """The verdict when every account is out."""
    server = FaultServer(lambda _: REFUSING)
    async with (
        server.running() as url,
        gateway({"accounts": _pool(url, "p", [f"a{n}" for n in range(8)])}) as program,
    ):
        await many(program.url, "p/m", 30, 1, protocols=[CHAT])
        before = sum(server.hits.values())
        times = [await _timed(program.url, "p/m") for _ in range(int(500 * scale))]
        assert sum(server.hits.values()) == before, "somebody was still asked"
    p99 = percentile(times, 0.99)
    shown = f"p50 {_ms(percentile(times, 0.5))}, p99 {_ms(p99)}"
    return [Figure("verdict when all accounts are out", shown, "≤ 5 ms", p99 <= 0.005)]


class _Leaver:
    """Connections that are given up in the middle."""

    def __init__(self, url: str, server: FaultServer) -> None:
        self._address = urlsplit(url)
        self._url = url
        self._server = server
        self.left: dict[str, float] = {}

    async def leave(self, protocol: str, model: str, *, stream: bool) -> str:
        """Ask, wait until the upstream is asked (or content is there), and go."""
        nonce = fresh_nonce()
        question = Question(protocol=protocol, model=model, nonce=nonce, stream=stream)
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        writer.write(request_bytes(question, self._url, KEY))
        if stream:
            while nonce.encode() not in await reader.read(65_536):
                pass
        else:
            while not self._server.calls[nonce]:
                await asyncio.sleep(0.001)
        writer.transport.abort()
        self.left[nonce] = time.monotonic()
        return nonce


async def disconnect(scale: float) -> list[Figure]:
    """From the client's leaving to the upstream's connection being closed, in every phase and protocol."""
    server = FaultServer(lambda _: STALLED)
    async with server.running() as url:
        accounts: dict[str, Any] = {}
        for protocol in PROTOCOLS:
            accounts |= _pool(url, protocol, [f"{protocol}.a"], protocol)
        async with gateway({"accounts": accounts}) as program:
            leaver = _Leaver(program.url, server)
            for number in range(int(100 * scale)):
                for place, client in enumerate(PROTOCOLS):
                    upstream = PROTOCOLS[(place + number) % 4]
                    await leaver.leave(client, f"{upstream}/m", stream=number % 2 == 0)
            end = time.monotonic() + 10
            while len(server.departures) < len(leaver.left) and time.monotonic() < end:
                await asyncio.sleep(0.01)
    delays = [gone.at - leaver.left[gone.nonce] for gone in server.departures if gone.nonce in leaver.left]
    lost = len(leaver.left) - len(delays)
    p99 = percentile(delays, 0.99) if not lost else float("inf")
    shown = f"p50 {_ms(percentile(delays, 0.5))}, p99 {_ms(p99)} of {len(delays):,}, {lost} never"
    return [Figure("client leaves → upstream closed", shown, "p99 ≤ 100 ms", p99 <= 0.1)]


async def cancels(scale: float) -> list[Figure]:
    """A hundred thousand requests that are given up; what is left of them."""
    count = int(100_000 * scale)
    server = FaultServer(lambda label: STALLED if label == "stalled" else HEALTHY)
    server.keeps_departures = False
    async with server.running() as url:
        accounts = _pool(url, "stalled", ["stalled"], concurrency=500) | _pool(url, "fine", ["fine"])
        async with gateway({"accounts": accounts}) as program:
            pid = program.process.pid
            leaver = _Leaver(program.url, server)
            for _ in range(50):
                await leaver.leave(CHAT, "stalled/m", stream=True)
            await asyncio.sleep(1)
            before = open_files(pid), rss_mib(pid)
            left = iter(range(count))

            async def work() -> None:
                for number in left:
                    nonce = await leaver.leave(PROTOCOLS[number % 4], "stalled/m", stream=number % 2 == 0)
                    del leaver.left[nonce]
                    server.forget(nonce)

            await asyncio.gather(*(work() for _ in range(32)))
            await asyncio.sleep(2)
            after = open_files(pid), rss_mib(pid)
            fine = await many(program.url, "fine/m", 40, 10)
            bad = [text for question, seen in fine if (text := complaint(question, seen))]
            status, metrics = await _get(program.url, "/metrics")
            inflight = _metric(metrics, "aiclient2api_inflight_requests")
    leaked = max(0, after[0] - before[0] - 8)  # a few kept-alive connections may be open at either look
    shown = f"{server.open} upstream connections, {leaked} descriptors, {inflight:.0f} requests left; RSS {after[1] - before[1]:+.1f} MiB; {len(bad)} of 40 requests failed afterwards"
    holds = not (leaked or inflight or bad) and status == 200
    return [Figure(f"left over after {count:,} cancels", shown, "0", holds)]


async def _get(url: str, path: str) -> tuple[int, str]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n".encode()
    )
    data = await reader.read()
    writer.close()
    return int(data.split(b" ")[1]), data.decode()


def _metric(text: str, name: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


async def stopping(scale: float) -> list[Figure]:
    """SIGTERM while five hundred streams run that need three more seconds."""
    count = int(500 * min(1.0, scale) or 1)
    paced = Play(
        stream=(
            (Head(), Say(("prelude", "content")), Gate(), Sleep(3), Say(("more", "finish", "done")), End()),
        ),
        unary=((Whole(),),),
    )
    server = FaultServer(lambda _: paced)
    async with server.running() as url:
        sections = {
            "accounts": _pool(url, "p", ["a"], MESSAGES, concurrency=2000),
            "server": {"port": 0, "drain": "20s", "drain_notice": "0ms"},
        }
        async with gateway(sections) as program:
            begun: set[str] = set()

            def release(nonce: str) -> None:
                begun.add(nonce)
                server.release(nonce)

            running = asyncio.ensure_future(
                many(program.url, "p/m", count, count, protocols=[MESSAGES, CHAT], released=release)
            )
            while len(begun) < count // 2:  # half of them are streams, the others have no first content
                await asyncio.sleep(0.02)
            program.process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            done = await running
            status = await asyncio.to_thread(program.process.wait, 40)
            took = time.monotonic() - told
    cut = sum(complaint(question, seen) is not None for question, seen in done)
    shown = f"{cut} of {count} cut, exit status {status} after {took:.1f} s"
    holds = not cut and status == 0 and took <= 22
    return [Figure(f"SIGTERM with {count} streams", shown, "0 cut, ≤ drain + 2 s", holds)]


async def overload(scale: float) -> list[Figure]:
    """Ten times what the concurrency limit lets through, and what is left of the goodput."""
    seconds, width, service = max(3.0, 20 * scale), 10, 0.4  # few, so that the clients are not what is slow
    slow = Play(stream=((Sleep(service), *HEALTHY.stream[0]),), unary=((Sleep(service), Whole()),))
    server = FaultServer(lambda _: slow)
    async with server.running() as url:
        sections = {
            "accounts": _pool(url, "p", ["a"], concurrency=1000),
            "limits": {"streams_per_worker": width},
        }
        async with gateway(sections) as program:

            async def load(rate: float, span: float) -> tuple[int, list[float], float]:
                good, shed, tasks = [0], list[float](), set[asyncio.Task[None]]()

                async def one() -> None:
                    began = time.perf_counter()
                    question = Question(protocol=CHAT, model="p/m", nonce=fresh_nonce(), stream=False)
                    seen = await call(question, program.url, KEY, lambda _: None)
                    if seen.status == 200:
                        good[0] += 1
                    else:
                        shed.append(time.perf_counter() - began)

                began = time.monotonic()
                for number in range(int(rate * span)):
                    await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                    tasks.add(asyncio.ensure_future(one()))
                await asyncio.gather(*tasks)
                return good[0], shed, time.monotonic() - began

            async def capacity() -> float:
                count = int(width / service * max(2.0, seconds / 3))
                began = time.monotonic()
                done = await many(program.url, "p/m", count, width, protocols=[CHAT])
                assert all(seen.status == 200 for _, seen in done)
                return count / (time.monotonic() - began)

            full = await capacity()
            good, shed, took = await load(10 * full, seconds)
            back = time.monotonic()
            while True:
                ((question, seen),) = await many(program.url, "p/m", 1, 1, protocols=[CHAT])
                if complaint(question, seen) is None:
                    break
            recovered = time.monotonic() - back
    goodput, p99 = good / took / full, percentile(shed, 0.99)
    return [
        Figure("goodput at 10× overload", f"{goodput:.0%} of {full:.0f}/s", "≥ 90 %", goodput >= 0.9),
        Figure("reply to what is shed", f"p50 {_ms(percentile(shed, 0.5))}, p99 {_ms(p99)} of {len(shed):,}", "≤ 10 ms", p99 <= 0.01),
        Figure("recovery from overload", f"{recovered:.2f} s", "≤ 5 s", recovered <= 5),
    ]  # fmt: skip


SOME: Final = 1000


async def slowloris(scale: float) -> list[Figure]:
    """Connections that never finish a request's head or body, and everybody else meanwhile."""
    count = int(500 * min(1.0, scale) or 1)
    server = FaultServer(lambda _: HEALTHY)
    async with server.running() as url, gateway({"accounts": _pool(url, "p", ["a"])}) as program:
        quiet = [await _timed(program.url, "p/m") for _ in range(SOME)]
        address = urlsplit(program.url)
        whole = request_bytes(
            Question(protocol=CHAT, model="p/m", nonce=fresh_nonce(), stream=False), program.url, KEY
        )
        closed: list[float] = []

        async def attack(number: int) -> None:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            began = time.monotonic()
            part = (b"", whole[:40], whole[:-20])[number % 3]
            writer.write(part)
            with suppress(ConnectionError):
                async with asyncio.timeout(40):
                    while await reader.read(4096):
                        pass
            closed.append(time.monotonic() - began)
            writer.transport.abort()

        attacks = asyncio.gather(*(attack(number) for number in range(count)))
        await asyncio.sleep(0.5)
        busy: list[float] = []
        while len(busy) < SOME and len(closed) < count // 2:
            busy.append(await _timed(program.url, "p/m"))
        await attacks
        quiet += [await _timed(program.url, "p/m") for _ in range(SOME)]
    worst, ratio = max(closed), percentile(busy, 0.99) / percentile(quiet, 0.99)
    return [
        Figure(f"{count} half requests are closed", f"after {worst:.1f} s at most", "≤ 10 s", worst <= 10.5),
        Figure("p99 of others meanwhile", f"{ratio - 1:+.0%}", "≤ +20 %", ratio <= 1.2),
    ]


async def dying(scale: float) -> list[Figure]:
    """Ten thousand requests in each of twenty ways in which one of eight accounts dies."""
    count = max(100, int(10_000 * scale))
    found = await Dying().run(count, at_once=16)
    errors = sum(map(len, found.values()))
    return [
        Figure(
            f"errors while one of eight accounts dies, 20 ways × {count:,} requests",
            str(errors),
            "0",
            not errors,
        )
    ]


async def idle_memory(scale: float) -> list[Figure]:
    """What a stream costs that waits."""
    count = int(500 * min(1.0, scale) or 1)
    server = FaultServer(lambda _: STALLED)
    async with (
        server.running() as url,
        gateway({"accounts": _pool(url, "p", ["a"], concurrency=2000)}) as program,
    ):
        leaver_socks: list[socket.socket] = []
        address = urlsplit(program.url)
        before = rss_mib(program.process.pid)
        for number in range(count):
            question = Question(protocol=PROTOCOLS[number % 4], model="p/m", nonce=fresh_nonce(), stream=True)
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(request_bytes(question, program.url, KEY))
            leaver_socks.append(writer.get_extra_info("socket"))
        await asyncio.sleep(3)
        each = (rss_mib(program.process.pid) - before) * 1024 / count
    return [Figure(f"memory per stream, {count} of them", f"{each:.0f} KiB", "≤ 64 KiB", each <= 64)]


FIGURES: dict[str, Callable[[float], Coroutine[Any, Any, list[Figure]]]] = {
    one.__name__: one
    for one in (
        failover,
        steady,
        all_out,
        disconnect,
        cancels,
        stopping,
        overload,
        slowloris,
        idle_memory,
        dying,
    )
}
