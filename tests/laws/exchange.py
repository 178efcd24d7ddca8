"""One exchange through the gateway's converters: a client's request, an upstream's answer, and what the report says."""

from __future__ import annotations

from typing import Final

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.conversion import Conversion, Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.pivot_streams import FoldingStream
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.side_table import wanted
from aiclient2api.wire.http import JSON_HEADERS, Headers, WireRequest, WireResponse
from tests.fakes.sealing import CARRIER
from tests.laws.folding import folded
from tests.laws.native import GG, MODEL
from tests.laws.plain import Doc, dump, load
from tests.laws.streams import streamed
from tests.laws.words import Words, chopped

CONVERTERS: Final = {converter.name: converter for converter in BUILTIN}
FACTORY: Final = ConverterFactory(BUILTIN, CARRIER)
EVERYTHING: Final = ModelProfile(mid_system=True, prefill=True, reasoning_content=True)
"""A model that takes whatever its protocol can express."""


def some_model(words: Words) -> ModelProfile:
    """A model that takes everything, or one with any of the restrictions that real ones have."""
    if words.coin():
        return EVERYTHING
    return ModelProfile(
        max_output=words.pick((4_096, 32_000)),
        thinking=words.pick(("effort", "budget", "none")),
        thinking_off=words.coin(),
        sampling=words.coin(),
        forced_tool_choice=words.coin(),
        mid_system=words.coin(),
        prefill=words.coin(),
        call_ids=words.coin(),
        json_schema=words.coin(),
        tool_result_media=words.coin(),
        max_tokens_field=words.pick(("max_completion_tokens", "max_tokens")),
        developer_role=words.coin(),
        reasoning_content=words.coin(),
        stop=words.coin(),
        anthropic_version=words.pick(("2023-06-01", "2026-10-21")),
        stop_limit=words.pick((None, 4)),
    )


UPSTREAM_MODEL: Final = "upstream-model"
TENANT: Final = "alice"

_PATHS: Final = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
}

Table = dict[str, bytes | None]
"""Signed records by call id."""

Refused = Unrepresentable
"""A target cannot express it: 400 before anything is sent. Nothing that these tests write is malformed."""


class Broken(Exception):
    """The answer's stream ended with an error instead of an end."""


def client_wire(protocol: str, doc: Doc, *, stream: bool, headers: Headers = ()) -> WireRequest:
    """A client's request as it arrives."""
    if protocol == GG:
        method = "streamGenerateContent" if stream else "generateContent"
        return WireRequest(
            path=f"/v1beta/models/{MODEL}:{method}",
            query="alt=sse" if stream else "",
            body=dump(doc),
            headers=(*JSON_HEADERS, *headers),
        )
    body = doc | ({"stream": True} if stream else {})
    if stream and protocol == "openai_chat":
        body = body | {"stream_options": {"include_usage": True}}
    return WireRequest(path=_PATHS[protocol], body=dump(body), headers=(*JSON_HEADERS, *headers))


class Exchange:
    """A conversion of one request. Raises Refused where the gateway refuses."""

    def __init__(
        self,
        client: str,
        upstream: str,
        doc: Doc,
        *,
        stream: bool,
        profile: ModelProfile = EVERYTHING,
        headers: Headers = (),
        factory: ConverterFactory | None = None,
        table: Table | None = None,
    ) -> None:
        """`table` is the side table of the conversation so far; each exchange adds to it."""
        self.table: Table = {} if table is None else table
        self.client, self.upstream, self.stream = client, upstream, stream
        self.wire = client_wire(client, doc, stream=stream, headers=headers)
        inbound = Inbound(CONVERTERS[client], self.wire, TENANT)
        target = Target(
            model=UPSTREAM_MODEL, profile=profile, streams=stream, remember=self.table.__setitem__
        )
        if self.table:
            found = ((call_id, self.table.get(call_id)) for call_id in wanted(inbound.request()))
            inbound.records = {call_id: record for call_id, record in found if record is not None}
        self.conversion: Conversion = (factory or FACTORY).convert(inbound, upstream, target)
        self.losses: list[Loss] = list(self.conversion.losses)
        """Of the request."""

    @property
    def sent(self) -> WireRequest:
        """What the upstream gets."""
        return self.conversion.request

    @property
    def asked(self) -> Doc:
        """Its body."""
        return load(self.sent.body)

    def answered(self, doc: Doc, words: Words) -> tuple[Doc, list[Loss]]:
        """What the client makes of the upstream's answer, and the losses of the answer."""
        if not self.stream:
            told = self.conversion.whole(WireResponse(status=200, body=dump(doc), headers=JSON_HEADERS))
            return load(told.response.body), told.losses
        body, losses = self.streamed(streamed(self.upstream, doc, words), words)
        return folded(self.client, body), losses

    def streamed(self, body: bytes, words: Words) -> tuple[bytes, list[Loss]]:
        """The client's bytes for an upstream's bytes, which arrive in pieces."""
        before = len(self.conversion.losses)
        frames = CONVERTERS[self.upstream].frames("text/event-stream")
        stream = self.conversion.stream()
        assert not isinstance(stream, FoldingStream)
        out = [stream.feed(frame) for chunk in chopped(words, body) for frame in frames.feed(chunk)]
        assert not frames.close().strip()
        out.append(stream.close())
        if stream.failure is not None:
            raise Broken(stream.failure.message)
        assert stream.ended
        return b"".join(out), self.conversion.losses[before:]
