"""Whether a server that does not answer speaks TLS where the address does not say so, or the other way round.

A Redis that gets TLS on a port for clear text waits for the end of a line, and one that gets clear text on a port for
TLS closes: both look like an outage, which would never end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from msgspec import Struct

from aiclient2api.store.address import Address
from aiclient2api.store.master import NoMaster, Place


class Peer(Struct, frozen=True):
    """Somebody who was spoken to, and what the address would have to say for the other way of speaking."""

    name: str
    place: Place
    is_tls: bool
    remedy: str


def peers(address: Address, error: BaseException | None, master: Place | None) -> list[Peer]:
    """Whom an exchange that failed may have failed at; `master` is the one that sentinels named."""
    option = "no ?tls=true" if address.is_tls else "?tls=true"
    match address.kind:
        case "single":
            scheme = "redis://" if address.is_tls else "rediss://"
            return [Peer("the server", place, address.is_tls, scheme) for place in address.hosts]
        case "cluster":
            return [_named("the member", place, address.is_tls, option) for place in address.hosts]
        case "sentinel" if isinstance(error, NoMaster):
            is_tls = address.is_sentinel_tls
            remedy = f"?sentinel_tls={str(not is_tls).lower()}"
            return [_named("the sentinel", place, is_tls, remedy) for place in address.hosts if error.reasons]
        case "sentinel" if master is not None:
            return [_named("the master", master, address.is_tls, option)]
        case _:
            return []


def _named(what: str, place: Place, is_tls: bool, remedy: str) -> Peer:
    return Peer(f"{what} {place[0]}:{place[1]}", place, is_tls, remedy)


async def mistaken(asked: Sequence[Peer], seconds: float) -> str | None:
    """Ask them the other way, for so long at most: what is wrong, None when that is no way either."""
    for told in await asyncio.gather(*(_mistake(peer, seconds) for peer in asked)):
        if told is not None:
            return told
    return None


async def _mistake(peer: Peer, seconds: float) -> str | None:
    try:
        async with asyncio.timeout(seconds):
            answers = await (_answers_clear_text(peer.place) if peer.is_tls else _answers_tls(peer.place))
    except (OSError, TimeoutError, ValueError):  # ValueError: a line that is too long
        return None
    if not answers:
        return None
    return f"{peer.name} {'does not speak' if peer.is_tls else 'speaks'} TLS, use {peer.remedy}"


async def _answers_tls(place: Place) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whoever it is, nothing is said to it
    try:
        _, writer = await asyncio.open_connection(*place, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it refuses in TLS
    writer.transport.abort()
    return True


async def _answers_clear_text(place: Place) -> bool:
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(b"PING\r\n")
        return (await reader.readline()).startswith((b"+", b"-"))
    finally:
        writer.transport.abort()
