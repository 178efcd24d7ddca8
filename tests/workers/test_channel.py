from __future__ import annotations

import socket
import struct

import msgspec

from aiclient2api.workers.channel import LONGEST, Channel, opened
from aiclient2api.workers.messages import Drain, Reload, Retire, ToWorker, Written


async def ends() -> tuple[Channel[ToWorker], socket.socket]:
    ours, theirs = socket.socketpair()
    return await opened(ours, msgspec.msgpack.Decoder(ToWorker)), theirs


async def test_messages_arrive_whole_and_in_order() -> None:
    left, right = socket.socketpair()
    sender = await opened(left, msgspec.msgpack.Decoder(ToWorker))
    receiver = await opened(right, msgspec.msgpack.Decoder(ToWorker))
    written = Written(data={"keys": [{"name": "x" * 300_000}], "log": None}, source="file")

    for message in (Reload(written=written), Drain(at_once=True), Retire()):
        sender.send(message)

    assert await receiver.receive() == Reload(written=written)
    assert await receiver.receive() == Drain(at_once=True)
    assert await receiver.receive() == Retire()
    sender.close()
    assert await receiver.receive() is None
    receiver.close()


async def test_a_message_cut_short_is_the_end() -> None:
    channel, peer = await ends()
    peer.sendall(struct.pack(">I", 100) + b"half")
    peer.close()

    assert await channel.receive() is None
    channel.close()


async def test_what_is_no_message_is_the_end() -> None:
    channel, peer = await ends()
    peer.sendall(struct.pack(">I", 3) + b"\xc1\xc1\xc1")

    assert await channel.receive() is None
    channel.close()
    peer.close()


async def test_a_length_beyond_all_measure_is_the_end() -> None:
    channel, peer = await ends()
    peer.sendall(struct.pack(">I", LONGEST + 1))

    assert await channel.receive() is None
    channel.close()
    peer.close()
