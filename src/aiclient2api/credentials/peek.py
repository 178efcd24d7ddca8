"""A token for one question from the command line, without disturbing the gateways that live on it."""

from __future__ import annotations

from aiclient2api.credentials.grant import Fresh, Grant
from aiclient2api.credentials.journal import Journal
from aiclient2api.credentials.keeper import Endpoint
from aiclient2api.credentials.record import unseal
from aiclient2api.credentials.rules import skew
from aiclient2api.credentials.sealing import Broken, Sealer, UnknownKey
from aiclient2api.providers.credentials import Credentials


class NoToken(Exception):
    """There is none; `str()` is a sentence."""


async def peek(
    account: str, grant: Grant, endpoint: Endpoint, kept: tuple[Journal, Sealer], now: float
) -> Credentials:
    """The present token of this node, else a new one where that uses nothing up. `now` in Unix seconds.

    Raises NoToken. A refresh token is never sent: only the gateways may, which agree on who does.
    """
    journal, sealer = kept
    record = journal.newest(account)
    if record is not None and record.expires - skew(record.life) > now:
        try:
            access = unseal(record, sealer, account).access
        except (UnknownKey, Broken):
            raise NoToken("its credential on this node is sealed with another key or damaged") from None
        if access is not None:
            return Credentials(access, record.generation)
    if grant.kind == "refresh_token":
        raise NoToken("no valid token on this node: a running gateway fetches one (see `accounts list`)")
    answer = await endpoint.ask(grant, None)
    if isinstance(answer, Fresh):
        return Credentials(answer.access, 1)
    raise NoToken(f"its token endpoint gave no token: {answer.code}")
