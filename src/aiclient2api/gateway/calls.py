"""A converted request as a call: signed and addressed for one account."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from aiclient2api.accounts.account import Account
from aiclient2api.errors import BadRequest
from aiclient2api.net.transport import Call, Timeouts
from aiclient2api.protocols.conversion import Conversion
from aiclient2api.providers.credentials import Credentials
from aiclient2api.wire.http import Headers, WireRequest

USER_AGENT: Final = "aiclient2api"
KEPT: Final = 1024
"""Different paths and time-outs that are worked out once, and calls that are remembered."""

Kind = tuple[str, str, str, str, str, bool, bool, bool]
"""Account, protocol, method, path, query, whether it is streamed, thinks and is the last: what headers and time-outs
hang on, beside the client's own headers and the account's credentials."""


class _Made(Struct, frozen=True):
    """The last call of its kind, and what it was made from."""

    headers: Headers
    credentials: Credentials
    call: Call


class Calls:
    """Makes calls. Where only the body differs from the last one of its kind, nothing else is made anew."""

    def __init__(self, timeouts: Mapping[str, Timeouts]) -> None:
        """`timeouts` by account name."""
        self._timeouts = timeouts
        self._made: dict[Kind, _Made] = {}

    def call(self, account: Account, protocol: str, conversion: Conversion, is_last: bool) -> Call:
        """See `upstream_call`. `is_last`: nobody else is left to ask."""
        request = conversion.request
        kind = (
            account.name,
            protocol,
            request.method,
            request.path,
            request.query,
            conversion.streaming,
            conversion.thinks,
            is_last,
        )
        made = self._made.get(kind)
        if (
            made is None
            or made.headers != request.headers
            or made.credentials is not account.credentials
            or not request.body
        ):
            return self._new(kind, account, conversion)
        return replace(made.call, body=request.body)

    def _new(self, kind: Kind, account: Account, conversion: Conversion) -> Call:
        protocol, is_last = kind[1], kind[-1]
        request = conversion.request
        timeouts = patience(self._timeouts[account.name], conversion, is_last=is_last)
        if not conversion.streaming:
            timeouts = unary(timeouts)
        call = upstream_call(account, protocol, request, timeouts, streaming=conversion.streaming)
        if account.signs_alike and request.body and "key=" not in request.query:  # that may be a client's own
            if len(self._made) >= KEPT:
                self._made.clear()
            self._made[kind] = _Made(request.headers, account.credentials, replace(call, body=b""))
        return call


def patience(timeouts: Timeouts, conversion: Conversion, *, is_last: bool) -> Timeouts:
    """The time-outs of one attempt: models that always think first get longer ones."""
    if not conversion.thinks and not is_last:
        return timeouts
    return _stretched(timeouts, thinks=conversion.thinks, is_last=is_last)


@lru_cache(KEPT)
def _stretched(timeouts: Timeouts, *, thinks: bool, is_last: bool) -> Timeouts:
    if thinks:
        timeouts = replace(
            timeouts,
            headers=max(timeouts.headers, timeouts.reasoning_headers),
            first_content=max(timeouts.first_content, timeouts.reasoning_first_content),
        )
    if is_last:
        timeouts = replace(timeouts, first_content=max(timeouts.first_content, timeouts.total))
    return timeouts


@lru_cache(KEPT)
def unary(timeouts: Timeouts) -> Timeouts:
    """A unary answer may take all of its time before the first byte."""
    return replace(timeouts, headers=timeouts.total, idle=timeouts.total)


def upstream_call(
    account: Account, protocol: str, request: WireRequest, timeouts: Timeouts, *, streaming: bool
) -> Call:
    """A converted request, signed and addressed for one account, with these time-outs."""
    signed = account.provider.sign(request, protocol, account.credentials)
    headers = dict(signed.headers)
    if signed.body:
        headers["content-type"] = "application/json"  # it was read as such, whatever the client calls it
    headers.setdefault("user-agent", USER_AGENT)
    headers["accept"] = "text/event-stream, application/json" if streaming else "application/json"
    headers.update(account.settings.headers)
    url = account.provider.url(protocol, _upstream_path(signed.path))
    return Call(
        url=f"{url}?{signed.query}" if signed.query else url,
        method=signed.method,
        headers=tuple(headers.items()),
        body=signed.body,
        pool=account.provider_name,
        timeouts=timeouts,
        proxy=account.settings.proxy,
        ca=account.settings.ca,
    )


@lru_cache(KEPT)
def _upstream_path(path: str) -> str:
    """The path as it is sent. A model name is the client's: it must not lead anywhere else on the upstream's host."""
    if "/." in f"/{path}" and any(segment in (".", "..") for segment in path.split("/")):
        raise BadRequest("the model name is not valid")
    return quote(path, safe="/:@!$&'()*+,;=-._~")
