"""A converted request as a call: signed and addressed for one account."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from aiclient2api.accounts.account import Account
from aiclient2api.errors import BadRequest
from aiclient2api.net.transport import Call, Timeouts
from aiclient2api.providers.credentials import Credentials
from aiclient2api.wire.http import Headers, WireRequest

USER_AGENT: Final = "aiclient2api"
KEPT: Final = 1024
"""Different paths that are worked out once, and calls that are remembered."""


class _Made(Struct, frozen=True):
    """The last call of its kind, and what it was made from."""

    headers: Headers
    credentials: Credentials
    call: Call


class Calls:
    """Makes calls. Where only body and time-outs differ from the last one of its kind, only they are made anew."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str, str, bool], _Made] = {}

    def call(
        self, account: Account, protocol: str, request: WireRequest, timeouts: Timeouts, *, streaming: bool
    ) -> Call:
        """See `upstream_call`."""
        key = (account.name, protocol, request.method, request.path, streaming)
        made = self._made.get(key)
        if (
            made is None
            or request.query
            or not request.body
            or made.credentials is not account.credentials
            or made.headers != request.headers
        ):
            return self._new(key, account, request, timeouts)
        return replace(made.call, body=request.body, timeouts=timeouts)

    def _new(
        self, key: tuple[str, str, str, str, bool], account: Account, request: WireRequest, timeouts: Timeouts
    ) -> Call:
        _, protocol, _, _, streaming = key
        call = upstream_call(account, protocol, request, timeouts, streaming=streaming)
        if account.signs_alike and request.body and not request.query:
            if len(self._made) >= KEPT:
                self._made.clear()
            self._made[key] = _Made(request.headers, account.credentials, replace(call, body=b""))
        return call


def upstream_call(
    account: Account, protocol: str, request: WireRequest, timeouts: Timeouts, *, streaming: bool
) -> Call:
    """A converted request, signed and addressed for one account, with these time-outs."""
    signed = account.provider.sign(request, protocol, account.credentials)
    headers = dict(signed.headers)
    if signed.body:
        headers.setdefault("content-type", "application/json")
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
