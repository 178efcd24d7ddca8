"""The keeper on one node, on a virtual clock: when it asks, what an account gets, what a reload keeps."""

from __future__ import annotations

import asyncio

import pytest

from aiclient2api.accounts.account import Cause
from aiclient2api.credentials.grant import Grant, Lost, Refused
from aiclient2api.credentials.record import decode
from aiclient2api.providers.credentials import Secret
from aiclient2api.store import keys
from tests.credentials.one_node import LIFE, LIVES, Rig, grant, play
from tests.credentials.virtual import VirtualLoop


def test_a_token_is_renewed_at_four_fifths_of_its_life_while_the_old_one_serves(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        assert rig.account.token_obstacle is not None
        assert rig.account.token_obstacle.cause is Cause.BUSY
        await asyncio.sleep(1.0)
        assert (rig.token, rig.account.token_obstacle) == ("at1", None)
        await asyncio.sleep(0.8 * LIFE - 20)
        assert rig.endpoint.sent == ["seed"]
        rig.endpoint.seconds = 5.0
        await asyncio.sleep(20.0)
        assert rig.endpoint.sent == ["seed", "rt1"]
        assert (rig.token, rig.account.token_obstacle) == ("at1", None)
        await asyncio.sleep(7.0)
        assert rig.token == "at2"

    play(loop, story)


@pytest.mark.parametrize("life", LIVES)
def test_a_token_that_hardly_lives_is_there_all_the_time_and_its_endpoint_is_not_stormed(
    loop: VirtualLoop, life: float
) -> None:
    seconds = 60.0

    async def story(rig: Rig) -> None:
        other = Rig(loop, alone=False, beside=rig)
        await other.keeper.start()
        while rig.account.token_obstacle or other.account.token_obstacle:
            await asyncio.sleep(0.01)
        end = loop.time() + seconds
        asked = len(rig.endpoint.sent)
        missing = 0
        while loop.time() < end:
            await asyncio.sleep(0.01)
            missing += rig.account.token_obstacle is not None
            missing += other.account.token_obstacle is not None
        await other.keeper.close()
        assert missing == 0
        assert seconds / life <= len(rig.endpoint.sent) - asked <= 3 * seconds / life
        assert len(set(rig.endpoint.sent)) == len(rig.endpoint.sent), "one refresh per generation"

    def make() -> Rig:
        rig = Rig(loop, alone=False)
        rig.endpoint.life = life
        rig.endpoint.seconds = 0.05
        return rig

    play(loop, story, rig=make())


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0])
def test_a_wall_clock_that_jumps_renews_nothing(loop: VirtualLoop, jump: float) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.jump = jump
        await asyncio.sleep(0.7 * LIFE)
        rig.jump = 0.0
        assert rig.endpoint.sent == ["seed"]
        assert (rig.token, rig.account.token_obstacle) == ("at1", None)
        await asyncio.sleep(0.2 * LIFE)
        assert rig.endpoint.sent == ["seed", "rt1"]

    play(loop, story)


def test_however_many_refusals_of_one_token_fetch_one_other(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        renew = rig.account.renew
        assert renew is not None
        assert [renew(1) for _ in range(50)] == [True] * 50
        assert rig.account.token_obstacle is not None
        await asyncio.sleep(1.0)
        assert renew(1)  # a late answer to the old token
        assert rig.endpoint.sent == ["seed", "rt1"]
        assert rig.token == "at2"

    play(loop, story)


def test_generation_after_generation_that_is_refused_ends_the_storm(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        renew = rig.account.renew
        assert renew is not None
        told: list[bool] = []
        for generation in (1, 2, 3, 4, 4):
            told.append(renew(generation))
            await asyncio.sleep(3.0)
        assert told == [True, True, True, False, False]
        assert len(rig.endpoint.sent) == 4

    play(loop, story)


def test_a_revoked_refresh_token_is_told_once_and_tried_again_only_on_a_word(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.endpoint.answers = [Refused("invalid_grant"), Refused("invalid_grant")]
        await asyncio.sleep(0.9 * LIFE)
        assert (rig.token, rig.account.token_obstacle) == ("at1", None)  # good to its end
        assert rig.events.count("credential_dead") == 1
        await asyncio.sleep(10 * LIFE)
        obstacle = rig.account.token_obstacle
        assert obstacle is not None
        assert (obstacle.cause, obstacle.reason) == (Cause.DISABLED, "reauth_required")
        assert rig.endpoint.sent == ["seed", "rt1"]
        rig.words["a"] = rig.place.now()
        await asyncio.sleep(100 * LIFE)
        assert rig.endpoint.sent == ["seed", "rt1", "rt1"]

    play(loop, story)


def test_an_endpoint_that_fails_is_asked_ever_more_seldom_and_heals(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        rig.endpoint.answers = [Refused("status_503")] * 9
        await asyncio.sleep(2500.0)
        assert rig.token == "at10"

    rig = play(loop, story)
    assert rig.endpoint.sent[:10] == ["seed"] * 10


def test_a_lost_answer_is_not_asked_for_again_where_that_could_void_everything(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.endpoint.answers = [Lost("timeout")]
        await asyncio.sleep(5 * LIFE)
        assert rig.endpoint.sent == ["seed", "rt1"]
        obstacle = rig.account.token_obstacle
        assert obstacle is not None and obstacle.reason == "reauth_required"
        rig.words["a"] = rig.place.now()
        await asyncio.sleep(2.0)
        assert rig.token == "at3"

    play(loop, story)


def test_a_token_that_is_safe_nowhere_is_not_used(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.endpoint.seconds = 5.0
        while len(rig.endpoint.sent) < 2:
            await asyncio.sleep(1.0)
        rig.store.is_away = rig.disk.is_full = True  # while the answer is under way
        await asyncio.sleep(60.0)
        assert (rig.token, rig.account.token_obstacle) == ("at1", None)
        assert "credential_not_on_disk" in rig.events
        rig.disk.is_full = False
        await asyncio.sleep(3.0)
        assert rig.token == "at2"
        kept = rig.disk.newest("a")
        assert kept is not None and kept.generation == 2
        rig.store.is_away = False
        await asyncio.sleep(3.0)

    assert play(loop, story).endpoint.sent == ["seed", "rt1"]


def test_a_reload_keeps_the_token_and_what_is_under_way(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.watch(grant())
        assert rig.token == "at1"
        rig.endpoint.seconds = 5.0
        renew = rig.account.renew
        assert renew is not None and renew(1)
        await asyncio.sleep(1.0)
        rig.watch(grant("another client secret"))  # while the refresh token is in use
        await asyncio.sleep(10.0)
        assert rig.token == "at2"
        assert rig.endpoint.sent == ["seed", "rt1"]

    play(loop, story)


def test_a_token_is_fetched_through_the_proxy_that_the_account_has_now(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.watch(grant(), "http://proxy.example")
        await asyncio.sleep(LIFE)
        assert rig.endpoint.proxies == [None, "http://proxy.example"]

    play(loop, story)


def test_a_stop_waits_for_the_answer(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        rig.endpoint.seconds = 5.0
        await asyncio.sleep(1.0)

    rig = play(loop, story)
    kept = rig.place.journal.newest("a")
    assert kept is not None and kept.generation == 1


def test_with_a_store_of_its_own_a_node_renews_in_the_last_minute_without_it(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        rig.store.is_away = True
        await asyncio.sleep(LIFE - 120)
        assert rig.endpoint.sent == ["seed"]  # not yet: the store may come back
        await asyncio.sleep(70)
        assert rig.endpoint.sent == ["seed", "rt1"]
        assert rig.token == "at2"
        kept = rig.place.journal.newest("a")
        assert kept is not None and kept.generation == 2
        rig.store.is_away = False
        await asyncio.sleep(2.0)
        stored = decode(await rig.store.get(keys.credential("a")))
        assert stored is not None and stored.generation == 2

    play(loop, story)


def test_a_rotating_refresh_token_is_never_sent_while_a_shared_store_is_away(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(10.0)
        rig.store.is_away = True
        await asyncio.sleep(0.95 * LIFE)
        assert rig.token == "at1" and rig.account.token_obstacle is None
        await asyncio.sleep(LIFE)
        assert rig.endpoint.sent == ["seed"]
        assert rig.account.token_obstacle is not None
        rig.store.is_away = False
        await asyncio.sleep(5.0)
        assert rig.token == "at2"

    play(loop, story, alone=False)


def test_a_client_of_its_own_gets_tokens_without_the_store(loop: VirtualLoop) -> None:
    made = Grant(kind="client_credentials", token_url="https://idp.example/t", client_secret=Secret("s"))

    async def story(rig: Rig) -> None:
        await asyncio.sleep(10.0)
        rig.store.is_away = True
        await asyncio.sleep(LIFE)
        assert rig.endpoint.sent == ["", ""]
        assert rig.token == "at2"

    play(loop, story, alone=False, made=made)


def test_after_an_emptied_store_nobody_asks_until_whoever_was_asking_has_told(loop: VirtualLoop) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1.0)
        await rig.store.delete(keys.credential("a"))
        await asyncio.sleep(1.0)
        assert rig.account.renew is not None and rig.account.renew(1)
        await asyncio.sleep(17.0)
        assert rig.endpoint.sent == ["seed"]
        await asyncio.sleep(5.0)
        assert rig.endpoint.sent == ["seed", "rt1"]
        assert rig.token == "at2"

    play(loop, story)
