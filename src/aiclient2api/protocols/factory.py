"""Chooses the strategy for a pair of protocols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import Operation
from aiclient2api.protocols.base import Converter, SystemPrompt
from aiclient2api.protocols.carrier import Carrier, sealed_by
from aiclient2api.protocols.conversion import Conversion, Inbound, PatchConversion, RelayConversion, Target
from aiclient2api.protocols.operation import OperationConversion, complete_request
from aiclient2api.protocols.pivot import PivotConversion
from aiclient2api.protocols.side_table import SideTable
from aiclient2api.protocols.told_losses import told_losses


class ConverterFactory:
    """The registered protocols, and the conversion between any two of them."""

    def __init__(
        self, converters: Iterable[Converter], carrier: Carrier, system: SystemPrompt | None = None
    ) -> None:
        self._converters: dict[str, Converter] = {}
        for converter in converters:
            if converter.name in self._converters:
                raise ValueError(f"two converters are named {converter.name!r}")
            self._converters[converter.name] = converter
        self._carrier = carrier
        self._system = system

    def __getitem__(self, protocol: str) -> Converter:
        return self._converters[protocol]

    def __contains__(self, protocol: str) -> bool:
        return protocol in self._converters

    def __iter__(self) -> Iterator[Converter]:
        return iter(self._converters.values())

    def offers(self, operation: Operation, protocols: Sequence[str]) -> bool:
        """Whether one of the protocols has the operation."""
        return any(self._offers(operation, protocol) for protocol in protocols)

    def _offers(self, operation: Operation, protocol: str) -> bool:
        return any(endpoint.operation == operation for endpoint in self._converters[protocol].endpoints)

    def protocol_for(self, client: str, spoken: Sequence[str], operation: Operation) -> str:
        """Which of an account's protocols serves a client's operation: the client's own before the others."""
        if operation == "generate":
            return client if client in spoken else spoken[0]
        ranked = sorted(spoken, key=lambda protocol: protocol != client)
        return next((protocol for protocol in ranked if self._offers(operation, protocol)), ranked[0])

    def sealed_by(self, inbound: Inbound) -> str | None:
        """The mark of the account that made the newest state of ours in a request or for it in the side table."""
        if inbound.has_envelopes:
            return sealed_by(inbound.wire.body, self._carrier, inbound.tenant)
        return SideTable(inbound.records or {}, self._carrier, inbound.tenant).account

    def told(self, inbound: Inbound, losses: Sequence[Loss]) -> list[str]:
        """Losses of a request for its client: what, where in its own body as far as that can be said, and how."""
        return told_losses(inbound, losses, is_shifted=self._system is not None)

    def convert(self, inbound: Inbound, upstream: str, target: Target) -> Conversion:
        """`inbound` for a target that speaks the protocol `upstream`.

        Raises Unrepresentable when the request's content cannot be expressed there, MalformedMessage when the
        client's request is not valid.
        """
        if inbound.peek.operation != "generate" and inbound.converter.name != upstream:
            upstream_converter = self._converters[upstream]
            counts = self._offers("count_tokens", upstream)
            system = self._system if inbound.peek.operation == "count_tokens" else None
            request = complete_request(inbound, self._carrier, system, upstream_converter.slots)
            return OperationConversion(inbound, upstream_converter, target, request, counts=counts)
        if inbound.converter.name != upstream:
            return PivotConversion(inbound, self._converters[upstream], target, self._system, self._carrier)
        if inbound.peek.operation == "embed":
            return RelayConversion(inbound, target, None)  # no conversation, so nothing to add or put back
        if inbound.has_envelopes:
            return PatchConversion(inbound, target, self._system, self._carrier)
        return RelayConversion(inbound, target, self._system)
