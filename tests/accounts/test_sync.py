"""Nodes tell each other what they found out; the later word counts, an admin's always."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aiclient2api.accounts.health import HEALTHY, AccountState, Status
from aiclient2api.accounts.shared_state import AdminWord
from aiclient2api.store import keys
from aiclient2api.store.base import Add, Delete, StoreUnavailable
from aiclient2api.store.memory import MemoryStore
from tests.accounts.nodes import EPOCH, Node, cooling, say


async def test_an_outage_that_one_node_saw_is_known_to_the_other(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.a.adopt(cooling(one))

    await one.exchange()
    await two.exchange()

    assert (two.a.state.status, two.a.state.reason) == (Status.COOLING, "quota")
    assert two.a.state.until - two.now() == pytest.approx(60.0)
    assert two.accounts[1].state == HEALTHY


async def test_a_model_that_is_out_is_known_to_the_other(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.a.adopt(cooling(one), "gpt-5")
    await one.exchange()
    await two.exchange()
    assert two.a.overlays["gpt-5"].status is Status.COOLING

    two.clock.now += 61.0
    two.a.adopt(HEALTHY, "gpt-5")
    await two.exchange()
    await one.exchange()

    assert (one.a.state, one.a.overlays, two.a.overlays) == (HEALTHY, {}, {})


async def test_of_two_words_the_later_counts(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    two.a.adopt(cooling(two, 500.0))
    one.clock.now += 1.0
    one.a.adopt(
        AccountState(status=Status.EJECTED, until=one.now() + 5.0, reason="upstream", since=one.now())
    )

    await one.exchange()
    await two.exchange()
    await one.exchange()

    assert one.a.state.status is two.a.state.status is Status.EJECTED


async def test_of_two_words_at_the_same_time_the_worse_counts(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.a.adopt(cooling(one))
    two.a.adopt(
        AccountState(status=Status.EJECTED, until=two.now() + 5.0, reason="upstream", since=two.now())
    )

    await one.exchange()
    await two.exchange()
    await one.exchange()

    assert one.a.state.status is two.a.state.status is Status.COOLING


async def test_recovery_is_known_to_the_other(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.a.adopt(cooling(one))
    await one.exchange()
    await two.exchange()
    two.clock.now += 60.0
    two.a.adopt(AccountState(status=Status.RAMP, until=two.now() + 30.0, step=1, since=two.now()))

    await two.exchange()
    await one.exchange()

    assert one.a.state.status is Status.RAMP


async def test_what_was_known_before_a_restart_is_known_after_it(
    nodes: tuple[Node, Node], store: MemoryStore
) -> None:
    one, _ = nodes
    one.a.adopt(cooling(one))
    await one.exchange()

    fresh = Node("n3", store, one.clock, EPOCH - 1.0)
    await fresh.states.hear()

    assert fresh.a.state.status is Status.COOLING


async def test_small_changes_are_nobody_elses_business(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, _ = nodes
    one.a.adopt(AccountState(strikes=1))
    one.a.adopt(AccountState(status=Status.DEGRADED, until=one.now() + 60.0, reason="slow"))

    await one.exchange()

    assert await store.get(keys.account_state("a")) is None
    assert await store.get(keys.accounts_version()) is None


async def test_members_of_another_version_are_kept(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, _ = nodes
    await store.put(keys.account_state("a"), b'{"at": 5.0, "status": "healthy", "colour": {"x": [1]}}')
    one.a.adopt(cooling(one))

    await one.exchange()

    kept: Any = msgspec.json.decode(await store.get(keys.account_state("a")) or b"")
    assert kept["colour"] == {"x": [1]}
    assert kept["status"] == "cooling"


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"[]", b"{", b'{"at": "x"}', b'{"models": 7}', b'{"status": "odd"}']
)
async def test_a_record_that_cannot_be_read_counts_as_nothing(
    nodes: tuple[Node, Node], store: MemoryStore, value: bytes
) -> None:
    one, two = nodes
    await store.apply([Add(keys.accounts_version(), 1)])
    await store.put(keys.account_state("a"), value)
    await two.states.hear()
    assert two.a.state == HEALTHY

    one.a.adopt(cooling(one))
    await one.exchange()
    await two.exchange()

    assert two.a.state.status is Status.COOLING


async def test_an_admins_word_is_obeyed_and_no_node_undoes_it(
    nodes: tuple[Node, Node], store: MemoryStore
) -> None:
    one, two = nodes
    one.a.adopt(cooling(one))  # found out before, told after the admin spoke
    await say(store, "a", AdminWord(disabled=True, at=EPOCH, by="me"))
    await two.states.hear()
    lease = two.pool.take(lambda found: found is two.accounts[1], "m", set())
    assert lease is not None
    await one.states.tell()
    one.clock.now += 1.0
    await one.states.hear()
    await two.exchange()

    one.a.adopt(AccountState(status=Status.RAMP, until=one.now() + 30.0))  # a probe that was under way
    await one.exchange()
    await two.exchange()

    assert one.a.state.status is two.a.state.status is Status.DISABLED
    assert one.a.state.until == float("inf")


async def test_an_enabled_account_may_be_tried_at_once(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, _ = nodes
    await say(store, "a", AdminWord(disabled=True, at=EPOCH))
    await one.states.hear()
    await say(store, "a", AdminWord(disabled=False, at=EPOCH + 1.0, retry=EPOCH + 1.0))

    await one.states.hear()

    assert one.a.state.status is Status.DISABLED
    assert one.a.state.until <= one.now()


async def test_a_retry_makes_older_words_void(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, two = nodes
    one.a.adopt(cooling(one, 700.0))
    await one.exchange()
    await two.exchange()
    one.clock.now += 10.0
    await say(store, "a", AdminWord(at=one.clock.now, retry=one.clock.now))

    await one.states.hear()
    await two.states.hear()
    fresh = Node("n3", store, one.clock, 0.0)
    await fresh.states.hear()

    assert one.a.state.until <= one.now()
    assert two.a.state.until <= two.now()
    assert fresh.a.state == HEALTHY


async def test_after_a_reload_the_admins_word_still_counts(
    nodes: tuple[Node, Node], store: MemoryStore
) -> None:
    one, _ = nodes
    await say(store, "a", AdminWord(disabled=True, at=EPOCH))
    await one.states.hear()

    one.restart()

    assert one.a.state.status is Status.DISABLED


async def test_what_could_not_be_told_is_told_later(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = nodes
    one.a.adopt(cooling(one))
    with monkeypatch.context() as away:

        async def update(*_: object) -> None:
            raise StoreUnavailable("away")

        away.setattr(one.store, "update", update)
        with pytest.raises(StoreUnavailable):
            await one.states.tell()

    await one.states.tell()
    await two.states.hear()

    assert two.a.state.status is Status.COOLING


async def test_an_emptied_store_is_filled_again(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, two = nodes
    one.a.adopt(cooling(one))
    await say(store, "b", AdminWord(disabled=True, at=EPOCH))
    await one.exchange()
    await two.exchange()
    await store.apply(
        [Delete(keys.account_state("a")), Delete(keys.accounts_admin()), Delete(keys.accounts_version())]
    )

    await one.exchange()
    await one.exchange()
    await two.exchange()
    fresh = Node("n3", store, one.clock, 0.0)
    await fresh.states.hear()

    assert fresh.a.state.status is Status.COOLING
    assert fresh.accounts[1].state.status is Status.DISABLED
    assert two.a.state.status is Status.COOLING


async def test_one_node_probes_and_the_others_wait(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, two = nodes
    one.a.adopt(cooling(one, 5.0))
    await one.exchange()
    await two.exchange()
    one.clock.now += 4.8

    await one.probes.decide(live=2)
    await two.probes.decide(live=2)
    one.clock.now += 0.3

    assert one.pool.take(lambda found: found is one.a, "m", set()) is not None
    assert two.pool.take(lambda found: found is two.a, "m", set()) is None
    assert await store.get(keys.probe("a")) == b"n1"

    one.a.adopt(AccountState(status=Status.RAMP, until=one.now() + 30.0, since=one.now()))
    await one.probes.decide(live=2)
    await two.states.hear()

    assert await store.get(keys.probe("a")) is None
    assert two.a.state.status is Status.RAMP


async def test_a_node_without_requests_lets_another_probe(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    one.a.adopt(cooling(one, 5.0))
    await one.exchange()
    await two.exchange()
    one.clock.now += 5.0
    await one.probes.decide(live=2)
    await two.probes.decide(live=2)
    one.clock.now += 5.0

    await one.probes.decide(live=2)
    await two.probes.decide(live=2)

    assert one.a.state.until > one.now() >= 0
    assert two.pool.take(lambda found: found is two.a, "m", set()) is not None


async def test_a_lone_node_asks_nobody(nodes: tuple[Node, Node], store: MemoryStore) -> None:
    one, _ = nodes
    one.a.adopt(cooling(one, 1.0))
    one.clock.now += 2.0

    await one.probes.decide(live=1)

    assert await store.get(keys.probe("a")) is None
    assert one.pool.take(lambda found: found is one.a, "m", set()) is not None


async def test_nodes_share_a_limit_and_take_over_from_those_that_are_gone(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    await one.presence.appear()
    await two.presence.appear()
    await one.presence.appear()
    assert (one.presence.live, one.a.concurrency, one.a.limit) == (2, 32, 32.0)

    one.clock.now += 9.0
    await one.presence.appear()
    assert (one.presence.live, one.a.concurrency, one.a.limit) == (1, 64, 64.0)

    await two.presence.appear()
    await two.presence.leave()
    await one.presence.appear()
    assert one.presence.live == 1


async def test_what_a_node_has_under_way_is_forgotten_with_it(
    nodes: tuple[Node, Node], store: MemoryStore
) -> None:
    one, _ = nodes
    one.a.inflight = 3
    await one.presence.appear()
    assert await store.fields(keys.node_inflight("n1")) == {"a": b"3"}

    one.clock.now += 8.1

    assert await store.fields(keys.node_inflight("n1")) == {}
