"""Nodes that share a store: each hears what the others used."""

from __future__ import annotations

import asyncio
import time

import msgspec

from aiclient2api.keys.limiter import KeyLimiter, Use
from aiclient2api.keys.ring import KeyLimits
from aiclient2api.keys.sharing import SLOTS_KEPT, Told, UseSharing
from aiclient2api.store import keys
from aiclient2api.store.base import PutFields, StoreUnavailable
from aiclient2api.store.memory import MemoryStore

START = 1_800_000_000.0
LIMITS = KeyLimits(requests=60, tokens=6000, concurrency=8)


class Cluster:
    """Nodes on one store and one clock."""

    def __init__(self, count: int) -> None:
        self.now = START
        self.store = MemoryStore(time.monotonic)
        self.nodes = [Node(self, f"node-{number}") for number in range(count)]

    def exchange(self) -> None:
        """Everybody tells, then everybody hears."""
        for _ in range(2):
            for node in self.nodes:
                asyncio.run(node.sharing.exchange())


class Node:
    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self.limiter = KeyLimiter(lambda: cluster.now, lambda: 0.0)
        self.sharing = UseSharing(cluster.store, name, self.limiter, lambda: cluster.now)
        self._cluster = cluster

    @property
    def use(self) -> Use:
        if "ci" not in self.limiter.uses:
            self.limiter.uses["ci"] = Use(LIMITS)
            self.limiter.uses["ci"].roll(int(self._cluster.now // 60))
            self.limiter.uses["ci"].hear(self.limiter.heard("ci"))
        self.limiter.uses["ci"].roll(int(self._cluster.now // 60))
        return self.limiter.uses["ci"]

    def take(self, requests: int, tokens: int = 0) -> None:
        use = self.use
        use.requests.mine += requests
        use.tokens.mine += requests * tokens
        use.slots.mine += requests
        self.limiter.changes += 1

    def end(self, requests: int) -> None:
        self.use.slots.mine -= requests
        self.limiter.changes += 1


def heard(node: Node) -> tuple[int, int, int]:
    return node.use.requests.others, node.use.tokens.others, node.use.slots.others


def test_every_node_hears_what_the_others_used() -> None:
    cluster = Cluster(3)
    for number, node in enumerate(cluster.nodes, 1):
        node.take(number, tokens=10)

    cluster.exchange()

    assert [heard(node) for node in cluster.nodes] == [(5, 50, 5), (4, 40, 4), (3, 30, 3)]
    assert [node.use.requests.heard for node in cluster.nodes] == [1, 2, 3]


def test_telling_twice_changes_nothing() -> None:
    cluster = Cluster(2)
    cluster.nodes[0].take(3, tokens=10)
    for _ in range(5):
        cluster.nodes[0].limiter.changes += 1
        cluster.exchange()

    assert heard(cluster.nodes[1]) == (3, 30, 3)


def test_a_key_that_was_never_used_here_begins_with_what_others_used() -> None:
    cluster = Cluster(2)
    cluster.nodes[0].take(60)

    cluster.exchange()

    assert cluster.nodes[1].use.requests.refuses(1, 0.0, 2) is not None


def test_the_minute_before_counts_on_every_node() -> None:
    cluster = Cluster(2)
    cluster.nodes[0].take(40)
    cluster.nodes[1].take(20)
    cluster.exchange()

    cluster.now += 60
    cluster.exchange()

    assert [node.use.requests.used(0.5) for node in cluster.nodes] == [30.0, 30.0]


def test_what_was_told_too_late_for_its_minute_is_heard_in_the_next() -> None:
    cluster = Cluster(2)
    cluster.nodes[1].take(1)
    cluster.exchange()
    cluster.nodes[0].take(40)
    cluster.now += 60
    cluster.nodes[0].take(1)
    cluster.exchange()

    assert cluster.nodes[1].use.requests.others_before == 40
    assert cluster.nodes[1].use.requests.others == 1


def test_a_request_that_goes_on_over_the_minute_keeps_its_place() -> None:
    cluster = Cluster(2)
    cluster.nodes[0].take(3)
    cluster.exchange()

    cluster.now += 60
    asyncio.run(cluster.nodes[1].sharing.exchange())
    assert heard(cluster.nodes[1]) == (0, 0, 0), "nobody was heard of for a minute"
    cluster.exchange()

    assert heard(cluster.nodes[1]) == (0, 0, 3)
    cluster.nodes[0].end(3)
    cluster.exchange()
    assert heard(cluster.nodes[1]) == (0, 0, 0)


def test_the_places_of_a_dead_node_are_free_after_a_while_and_what_it_used_stays_used() -> None:
    cluster = Cluster(2)
    cluster.nodes[0].take(5, tokens=100)
    cluster.exchange()
    assert heard(cluster.nodes[1]) == (5, 500, 5)

    cluster.now += SLOTS_KEPT + 1
    asyncio.run(cluster.nodes[1].sharing.exchange())

    assert heard(cluster.nodes[1]) == (5, 500, 0)


def test_a_busy_node_is_not_taken_for_dead() -> None:
    cluster = Cluster(2)
    cluster.nodes[0].take(5)
    for _ in range(20):
        cluster.now += 1
        cluster.exchange()

    assert heard(cluster.nodes[1])[2] == 5


class Away(MemoryStore):
    """Nobody answers."""

    async def fields(self, key: str) -> dict[str, bytes]:
        raise StoreUnavailable("away")


def test_without_a_store_what_others_had_under_way_is_over_some_time() -> None:
    cluster = Cluster(2)
    for node in cluster.nodes:
        node.take(4)
    cluster.exchange()
    node = cluster.nodes[1]
    assert node.use.slots.refuses(nodes=2)
    node.end(4)

    node.sharing.lost()
    assert node.use.slots.others == 4
    cluster.now += SLOTS_KEPT + 1
    node.sharing.lost()

    taken = 0
    while not node.use.slots.refuses(nodes=2):
        node.use.slots.mine += 1
        taken += 1
    assert taken == 4, "its share of eight places for two nodes"


def test_nothing_is_written_while_nothing_changes() -> None:
    cluster = Cluster(1)
    node = cluster.nodes[0]
    node.take(1)
    node.end(1)
    asyncio.run(node.sharing.exchange())
    key = keys.key_use(int(START // 60))
    first = asyncio.run(cluster.store.fields(key))

    cluster.now += 5
    asyncio.run(node.sharing.exchange())

    assert asyncio.run(cluster.store.fields(key)) == first
    assert msgspec.json.decode(first[node.name], type=Told).at == START


def test_what_cannot_be_read_is_nobodys_use() -> None:
    cluster = Cluster(1)
    word = PutFields(keys.key_use(int(START // 60)), {"later": b'{"v": 2}', "broken": b"{"})
    asyncio.run(cluster.store.apply([word]))
    cluster.nodes[0].take(1)

    asyncio.run(cluster.nodes[0].sharing.exchange())

    assert heard(cluster.nodes[0]) == (0, 0, 0)
