"""Asks an account's upstream for its models."""

from __future__ import annotations

from collections.abc import Mapping

from aiclient2api.accounts.account import Account
from aiclient2api.errors import Malformed, MalformedMessage
from aiclient2api.gateway.bodies import MAX_ERROR_BYTES
from aiclient2api.gateway.calls import unary, upstream_call
from aiclient2api.net.transport import Timeouts, Transport
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.wire.http import WireResponse

MAX_LIST_BYTES = 8 * 1024 * 1024


class Listing:
    """One request per account, outside of the failover loop and of health: a list is a convenience."""

    def __init__(
        self, transport: Transport, converters: ConverterFactory, timeouts: Mapping[str, Timeouts]
    ) -> None:
        self._transport = transport
        self._converters = converters
        self._timeouts = timeouts

    async def list_models(self, account: Account) -> list[str]:
        """Model names. Raises UpstreamError as an attempt would."""
        protocol = self._converters[account.protocols[0]]
        request = protocol.list_models_request()
        timeouts = unary(self._timeouts[account.name])
        call = upstream_call(account, protocol.name, request, timeouts, streaming=False)
        stream = await self._transport.send(call)
        try:
            body = await stream.read(MAX_LIST_BYTES if stream.status < 400 else MAX_ERROR_BYTES)
        except BaseException:
            stream.abort()
            raise
        await stream.release(self._timeouts[account.name].eof)
        response = WireResponse(status=stream.status, headers=stream.headers, body=body)
        if stream.status >= 400:
            raise account.provider.classify(protocol.decode_error(response))
        try:
            return protocol.decode_models(response)
        except MalformedMessage as error:
            raise Malformed(f"the upstream broke its protocol: {error}") from error
