"""One request converted for one target: what the gateway sends upstream and what it makes of the answer.

Three strategies (`factory.py` chooses): **relay** passes the original bytes on and splices what must change,
**patch** rebuilds a request of the same protocol because it holds envelopes, **pivot** goes through the IR.
The gateway only sees `Conversion` and `AnswerStream`; it does not know which one it drives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import REFUSALS, ModelResponse, Usage
from aiclient2api.protocols.base import (
    AnswerStream,
    Converter,
    Peek,
    Splice,
    SystemPrompt,
)
from aiclient2api.protocols.carrier import MAGIC, Carrier
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.protocols.opening import open_request
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.system_prompt import apply_system_prompt
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse

_MAGIC = MAGIC.encode()


_SPELLED: Final = b"\\u006"
"""Begins the escape of every letter of `model`: the second may be hidden behind one."""


class Answer(Struct, frozen=True, kw_only=True):
    """A complete answer for the client."""

    response: WireResponse
    usage: Usage | None = None
    losses: list[Loss] = []
    is_empty: bool = False
    response_id: str = ""


class _Identified(Struct):
    id: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """What a conversion needs to know of where the request goes."""

    model: str
    profile: ModelProfile
    streams: bool = True
    """The upstream can stream, so that converted unary calls are streamed and folded."""
    account: str = ""  # its mark, for what it seals
    remember: Callable[[str, bytes | None], None] | None = None
    """Takes the signed record of a complete answer by its call id (side_table.py), None where there is nothing to
    keep of it; must not wait."""


class Inbound:
    """A client's request, read as far as anybody needed it."""

    def __init__(self, converter: Converter, wire: WireRequest, tenant: str) -> None:
        self.converter = converter
        self.wire = wire
        self.tenant = tenant
        self.peek: Peek = converter.peek(wire)
        self.has_envelopes = _MAGIC in wire.body
        """Whether the client sends back state that we sealed."""
        self.records: dict[str, bytes] | None = None
        """What the side table has of turns that came back bare, by call id, newest first; None until it was asked."""
        self._request: ModelRequest | None = None

    def request(self) -> ModelRequest:
        """The decoded request, envelopes still closed. Raises MalformedMessage."""
        if self._request is None:
            self._request = self.converter.decode_request(self.wire)
        return self._request


class Conversion(Protocol):
    """See the module."""

    label: str
    request: WireRequest
    losses: list[Loss]
    streaming: bool
    """The upstream is asked for a stream."""
    thinks: bool
    """The model always thinks before it answers."""
    local: Answer | None
    """The answer itself, where no upstream has to be asked for it."""

    def stream(self) -> AnswerStream:
        """A fresh stream state, one per upstream answer; a FoldingStream where the client is unary."""
        ...

    def whole(self, response: WireResponse) -> Answer:
        """Convert an upstream's unary answer. Raises MalformedMessage."""
        ...


_ANSWERS: Final = (b'"choices"', b'"output"', b'"content"', b'"candidates"')
"""What every answer has a member of. Some servers tell their errors with status 200, in words of their own."""

_UNDER_WAY: Final = ("queued", "in_progress")
"""What Responses says of an answer that is made in the background: there is nothing of it yet."""


class RelayConversion:
    """Same protocol: the client's bytes, the upstream's bytes."""

    local: Answer | None = None

    def __init__(self, inbound: Inbound, target: Target, system: SystemPrompt | None) -> None:
        self.label = "relay" if system is None else "patch"
        self.losses: list[Loss] = []
        self.streaming = inbound.peek.stream != "no"
        self._converter = inbound.converter
        self._wire = inbound.wire
        self._operation = inbound.peek.operation
        self.thinks = not target.profile.thinking_off
        request = inbound.converter.splice(inbound.wire, Splice(model=target.model, system=system))
        self.request = _without_duplicates(request) if request.body is inbound.wire.body else request

    def stream(self) -> AnswerStream:
        """The protocol's own tap."""
        return self._converter.stream_tap(self._wire)

    def whole(self, response: WireResponse) -> Answer:
        """The answer as it is."""
        identified = json.decode(response.body, _Identified)
        usage = sane_counts(partial(self._converter.usage, response))
        return Answer(
            response=WireResponse(status=response.status, body=response.body, headers=JSON_HEADERS),
            usage=usage,
            response_id=identified.id,
            is_empty=not (usage and usage.output) and self._is_empty(response, usage),
        )

    def _is_empty(self, response: WireResponse, usage: Usage | None) -> bool:
        """Only what has no output by its own counts is worth a look inside. Raises MalformedMessage for no answer."""
        if self._operation != "generate":
            return False
        try:
            decoded = self._converter.decode_response(response)
        except MalformedMessage:
            if usage is None and not any(member in response.body for member in _ANSWERS):
                raise
            return False  # whatever it is, the client asked for it
        if decoded.status in _UNDER_WAY:
            return False
        has_nothing = is_empty(decoded)
        if has_nothing and usage is None:
            require_ends(decoded)
            if not decoded.candidates:
                raise MalformedMessage("is no answer, nor an error")
        return has_nothing


def is_empty(response: ModelResponse) -> bool:
    """A success without anything in it, which nobody withheld."""
    if response.blocked is not None or (response.usage is not None and response.usage.output):
        return False
    for candidate in response.candidates:
        if candidate.turn.parts or (candidate.finish is not None and candidate.finish.reason in REFUSALS):
            return False
    return True


def require_ends(response: ModelResponse) -> None:
    """Raises MalformedMessage for an answer that does not say why it ended: it may have been cut anywhere."""
    for candidate in response.candidates:
        finish = candidate.finish
        if finish is None or (finish.reason == "unknown" and finish.raw is None):
            raise MalformedMessage("does not say why it ended", f"candidates[{candidate.index}]")


def _without_duplicates(request: WireRequest) -> WireRequest:
    """A second `model` member could mean another model to the upstream than the one we allowed."""
    body = request.body
    if body.count(b'"model"') < 2 and _SPELLED not in body:
        return request
    return msgspec.structs.replace(request, body=json.encode(json.decode(body, dict[str, Raw])))


class PatchConversion(RelayConversion):
    """Same protocol, but the history holds envelopes that an upstream must not see."""

    def __init__(
        self, inbound: Inbound, target: Target, system: SystemPrompt | None, carrier: Carrier
    ) -> None:
        super().__init__(inbound, target, None)
        self.label = "patch"
        request, self.losses = open_request(inbound.request(), carrier, inbound.tenant)
        request = msgspec.structs.replace(apply_system_prompt(request, system), model=target.model)
        encoded = inbound.converter.encode_request(request, target.profile)
        self.losses.extend(encoded.losses)
        self.request = msgspec.structs.replace(
            encoded.wire, headers=self.request.headers, path=self.request.path
        )
