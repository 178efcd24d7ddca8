"""Real traffic to clients of the other protocols: their official SDKs accept every stream, and read the same as from the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.ir.events import Failure, StreamEvent
from aiclient2api.ir.fold import fold
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.carrier import SealingStream
from tests.fakes.sealing import CARRIER
from tests.laws.exchange import CONVERTERS
from tests.laws.more_laws import spoken
from tests.laws.plain import load
from tests.laws.sdks import accumulated, parsed
from tests.protocols.recorded import FOLDER, MANIFEST, events_of, name_of, protocol_of, recordings

FILES = recordings()
pytestmark = pytest.mark.skipif(not FILES, reason=f"no recorded traffic in {FOLDER}")

CROSSINGS = [
    pytest.param(path, source, client, id=f"{name_of(path)}-{client}")
    for path in FILES
    if (source := protocol_of(path)) is not None and name_of(path) not in MANIFEST
    for client in CONVERTERS
    if client != source
]


def test_every_recording_is_used_or_the_manifest_says_why_not() -> None:
    unused = {name_of(path) for path in FILES if protocol_of(path) is None}
    assert unused <= set(MANIFEST), sorted(unused - set(MANIFEST))
    assert set(MANIFEST) <= {name_of(path) for path in FILES}


@pytest.mark.parametrize(("path", "source", "client"), CROSSINGS)
def test_a_recorded_answer_reaches_clients_of_another_protocol(path: Path, source: str, client: str) -> None:
    converter = CONVERTERS[client]
    request = ModelRequest(protocol=client, model="m", stream="sse")
    sealing = SealingStream(CARRIER, "alice", converter.slots)
    events = events_of(path, source)
    assert not any(isinstance(event, Failure) for event in events)
    sealed: list[StreamEvent] = [item for event in events for item in sealing.feed(event)]

    whole = converter.encode_response(fold(sealed, source), request).wire
    encoder = converter.stream_encoder(request)
    body = b"".join(encoder.feed(event) for event in sealed)

    assert whole.status == 200, whole.body
    assert spoken(client, accumulated(client, body)) == spoken(client, parsed(client, load(whole.body)))
