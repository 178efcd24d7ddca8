"""The same request at the same time is one piece of work."""

from __future__ import annotations

import asyncio

import pytest

from aiclient2api.errors import BadRequest, GatewayError
from aiclient2api.gateway.idempotency import SameRequests
from aiclient2api.wire.http import WireRequest


class Work:
    """Counts its beginnings; ends when told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.joined = 0
        self.was_cancelled = False
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.begun += 1
        try:
            return await asyncio.shield(self.end)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    def join(self) -> None:
        self.joined += 1


def wire(key: str | None = "k", body: bytes = b"{}", path: str = "/v1/messages") -> WireRequest:
    return WireRequest(path=path, body=body, headers=() if key is None else (("idempotency-key", key),))


def begin(same: SameRequests[str], work: Work, request: WireRequest, tenant: str = "t") -> asyncio.Task[str]:
    return asyncio.ensure_future(same.once(tenant, request, work, work.join))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_while_it_is_under_way_gets_its_answer() -> None:
    same, work = SameRequests[str](), Work()
    tasks = [begin(same, work, wire()) for _ in range(3)]
    await settle()
    work.end.set_result("answer")

    assert await asyncio.gather(*tasks) == ["answer"] * 3
    assert (work.begun, work.joined) == (1, 2)


async def test_who_comes_behind_its_end_begins_anew() -> None:
    same, work = SameRequests[str](), Work()
    first = begin(same, work, wire())
    await settle()
    work.end.set_result("answer")
    await first
    await settle()
    await begin(same, work, wire())

    assert (work.begun, work.joined) == (2, 0)


@pytest.mark.parametrize(
    "requests", [(wire(None), wire(None)), (wire("a"), wire("b"))], ids=["no key", "two keys"]
)
async def test_others_work_for_themselves(requests: tuple[WireRequest, WireRequest]) -> None:
    same, work = SameRequests[str](), Work()
    tasks = [begin(same, work, request) for request in requests]
    await settle()
    work.end.set_result("answer")
    await asyncio.gather(*tasks)

    assert (work.begun, work.joined) == (2, 0)


async def test_another_tenants_key_is_another_key() -> None:
    same, work = SameRequests[str](), Work()
    tasks = [begin(same, work, wire(), tenant) for tenant in ("one", "two")]
    await settle()
    work.end.set_result("answer")
    await asyncio.gather(*tasks)

    assert work.begun == 2


@pytest.mark.parametrize("other", [wire(body=b"[]"), wire(path="/v1/responses")], ids=["body", "path"])
async def test_a_key_stands_for_one_request(other: WireRequest) -> None:
    same, work = SameRequests[str](), Work()
    first = begin(same, work, wire())
    await settle()
    with pytest.raises(BadRequest, match="under way") as caught:
        await begin(same, work, other)
    work.end.set_result("answer")

    assert await first == "answer"
    assert caught.value.info.code == "idempotency_key_reused"


async def test_an_endless_key_is_refused() -> None:
    with pytest.raises(BadRequest, match="255"):
        await begin(SameRequests[str](), Work(), wire("k" * 256))


async def test_everybody_gets_the_error() -> None:
    same, work = SameRequests[str](), Work()
    tasks = [begin(same, work, wire()) for _ in range(2)]
    await settle()
    work.end.set_exception(GatewayError("no"))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [GatewayError, GatewayError]


async def test_who_began_it_may_leave_but_is_not_over_before_it() -> None:
    same, work = SameRequests[str](), Work()
    first = begin(same, work, wire())
    await settle()
    second = begin(same, work, wire())
    await settle()
    first.cancel()
    await settle()
    assert not first.done()
    work.end.set_result("answer")

    assert await second == "answer"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not work.was_cancelled


async def test_who_leaves_alone_is_over_when_the_work_is() -> None:
    same, work = SameRequests[str](), Work()
    was_cancelled: list[bool] = []

    async def exchange() -> None:
        try:
            await same.once("t", wire(), work, work.join)
        finally:
            was_cancelled.append(work.was_cancelled)

    alone = asyncio.ensure_future(exchange())
    await settle()
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone

    assert was_cancelled == [True], "what is booked at its end is how the call ended"


async def test_when_all_have_left_it_ends() -> None:
    same, work = SameRequests[str](), Work()
    tasks = [begin(same, work, wire()) for _ in range(2)]
    await settle()
    tasks[1].cancel()
    await settle()
    assert not work.was_cancelled
    tasks[0].cancel()
    await settle()

    assert work.was_cancelled
    assert all(task.cancelled() for task in tasks)


async def test_who_comes_when_all_have_just_left_begins_anew() -> None:
    same, work = SameRequests[str](), Work()
    first = begin(same, work, wire())
    await settle()
    first.cancel()
    await asyncio.sleep(0)  # its work is being cancelled, and not over
    second = begin(same, work, wire())
    await settle()
    work.end.set_result("answer")

    assert await second == "answer"
    assert (work.begun, work.joined) == (2, 0)
