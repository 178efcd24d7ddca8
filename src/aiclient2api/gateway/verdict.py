"""What an upstream's error means, told without what the gateway sent there to prove who it is."""

from __future__ import annotations

from typing import Final

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.errors import ErrorInfo, UpstreamError

SHORTEST: Final = 8
"""Characters of a secret; what is shorter stands in an error by chance."""
_HIDDEN: Final = "***"


def verdict(account: Account, error: ErrorInfo) -> UpstreamError:
    """See Provider.classify. Some servers quote the headers of a request that they refuse: the account's key and the
    values of its own `headers` are taken out of every member, whatever they look like.
    """
    return account.provider.classify(_without_secrets(account, error))


def _without_secrets(account: Account, error: ErrorInfo) -> ErrorInfo:
    given = (account.credentials.secret.reveal(), *(value for _, value in account.settings.headers))
    secrets = sorted({each for each in given if len(each) >= SHORTEST}, key=len, reverse=True)
    for secret in secrets:
        error = _without(secret, error)
    return error


def _without(secret: str, error: ErrorInfo) -> ErrorInfo:
    told = {name: getattr(error, name) for name in ("message", "type", "code", "param")}
    changes: dict[str, object] = {
        name: value.replace(secret, _HIDDEN) for name, value in told.items() if value and secret in value
    }
    if error.details is not None:
        details = written = bytes(error.details)
        quoted = msgspec.json.encode(secret)[1:-1]
        for form in (quoted, quoted.replace(b"/", rb"\/")):
            details = details.replace(form, _HIDDEN.encode())
        if details != written:
            changes["details"] = msgspec.Raw(details)
    return msgspec.structs.replace(error, **changes) if changes else error
