"""What nodes must not believe, and what they must not let grow: words of wrong clocks, claims without an answer, names."""

from __future__ import annotations

import pytest

from aiclient2api.accounts.health import HEALTHY, AccountState, Status
from aiclient2api.accounts.shared_state import FORGET_MODELS, MAX_MODELS, decode
from aiclient2api.store import keys
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.memory import MemoryStore
from tests.accounts.nodes import EPOCH, Node, cooling
from tests.fakes.accounts import Clock


async def test_a_node_s_own_word_does_not_end_what_it_keeps_to_itself(nodes: tuple[Node, Node]) -> None:
    one, _ = nodes
    one.a.adopt(AccountState(status=Status.EJECTED, until=one.now() + 5.0, since=one.now(), step=2))
    await one.exchange()
    one.clock.now += 6.0
    one.a.adopt(AccountState(step=2, since=one.now()))
    await one.exchange()
    one.clock.now += 61.0
    one.a.adopt(one.pool.rules.degraded(one.a.state, one.now(), "slow"))

    await one.exchange()

    assert one.a.state.status is Status.DEGRADED


async def test_a_word_told_by_a_clock_that_was_ahead_counts_for_nobody(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.states.offset += 3600.0  # as when it started with a wrong clock and without the store
    one.a.adopt(cooling(one, 5.0))
    await one.states.tell()
    one.states.offset -= 3600.0

    await two.exchange()
    assert two.a.state == HEALTHY

    one.a.adopt(cooling(one, 300.0))
    await one.exchange()
    await two.exchange()
    assert two.a.state.until - two.now() == pytest.approx(300.0)


async def test_a_word_that_was_heard_while_all_clocks_were_ahead_gives_way_to_the_next(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    for node in nodes:
        node.states.offset += 3600.0
    one.a.adopt(cooling(one, 5.0))
    await one.exchange()
    await two.exchange()
    for node in nodes:
        node.states.offset -= 3600.0

    one.clock.now += 6.0
    one.a.adopt(cooling(one, 300.0))
    await one.exchange()
    await two.exchange()

    assert two.a.state.until - two.now() == pytest.approx(300.0)


async def test_models_that_are_told_of_are_bounded_and_the_latest_are_known(
    nodes: tuple[Node, Node], store: MemoryStore
) -> None:
    one, two = nodes
    for number in range(3 * MAX_MODELS):
        one.clock.now += 1.0
        one.a.adopt(cooling(one, 600.0), f"m{number}")
        await one.exchange()

    record = decode(await store.get(keys.account_state("a")))
    assert list(record.models) == [f"m{number}" for number in range(2 * MAX_MODELS, 3 * MAX_MODELS)]
    await two.exchange()
    assert f"m{3 * MAX_MODELS - 1}" in two.a.overlays

    one.clock.now += 600.0 + FORGET_MODELS
    one.a.adopt(cooling(one, 600.0), "again")
    await one.exchange()
    assert list(decode(await store.get(keys.account_state("a"))).models) == ["again"]


class Forgetful(MemoryStore):
    """The answer of the first claim gets lost."""

    is_lost = True

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """See Store."""
        done = await super().claim(key, owner, ttl)
        if self.is_lost:
            self.is_lost = False
            raise StoreUnavailable("the answer got lost")
        return done


async def test_a_probe_whose_claim_had_no_answer_is_still_ours(clock: Clock) -> None:
    store = Forgetful(clock, wall=clock)
    one, two = Node("n1", store, clock, EPOCH - 500.0), Node("n2", store, clock, EPOCH - 500.0)
    for node in (one, two):
        node.a.adopt(cooling(node, 0.0))
    with pytest.raises(StoreUnavailable):
        await one.probes.decide(2)

    await one.probes.decide(2)
    await two.probes.decide(2)

    assert one.a.state.until <= one.now()
    assert two.a.state.until > two.now()


async def test_a_node_that_was_seen_by_a_clock_far_ahead_is_not_there(
    nodes: tuple[Node, Node], store: MemoryStore, clock: Clock
) -> None:
    one, two = nodes
    clock.now += 3600.0
    await two.presence.appear()
    clock.now -= 3600.0

    await one.presence.appear()

    assert one.presence.live == 1
