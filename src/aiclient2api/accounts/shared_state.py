"""An account's health as the nodes tell each other, and which of two words counts. Pure.

Times are Unix seconds of the store's clock. Members that are not known are kept. A state under `models` is that of one
model on the account.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import AccountState, Status

SEVERITY: Final = (Status.HEALTHY, Status.RAMP, Status.EJECTED, Status.COOLING, Status.DISABLED)
"""From the mildest to the worst; what else there is, a node keeps to itself."""
FORGET_MODELS: Final = 3600.0
"""Seconds for which it is remembered that a model is well again, or has been due."""
MAX_MODELS: Final = 64
"""Models of one account that are told of: their names come from requests. Beyond, the earliest word is forgotten."""
AHEAD: Final = 10.0
"""Seconds by which the clocks of a store and of the one that took its place may differ."""
NEVER: Final = float("inf")


class Told(Struct, frozen=True, kw_only=True):
    """What a node told of an account or of a model on it, and when."""

    at: float
    status: Status = Status.HEALTHY
    until: float = 0.0
    reason: str = ""
    step: int = 0

    def counts_before(self, other: Told) -> bool:
        """Whether this is the word that counts: the later one, at the same time the more severe one."""
        return (self.at, SEVERITY.index(self.status)) > (other.at, SEVERITY.index(other.status))


class Record(Struct, kw_only=True):
    """All that is told of one account; `rest` are members of other versions."""

    account: Told
    models: dict[str, Told]
    node: str = ""
    rest: dict[str, Any] = {}


NOTHING: Final = Told(at=0.0)


def decode(value: bytes | None) -> Record:
    """A stored record; what cannot be read counts as nothing told."""
    return read(value) or Record(account=NOTHING, models={})


def read(value: bytes | None) -> Record | None:
    """A stored record, None when it cannot be read; no value is nothing told."""
    try:
        data: object = {} if value is None else msgspec.json.decode(value)
        if not isinstance(data, dict):
            return None
        members = cast(dict[str, Any], data)
        given: object = members.pop("models", {})
        models = cast(dict[str, object], given) if isinstance(given, dict) else {}
        node = str(members.pop("node", ""))
        return Record(
            account=_told(members),
            models={model: _told(told) for model, told in models.items()},
            node=node,
            rest={key: member for key, member in members.items() if key not in Told.__struct_fields__},
        )
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _told(data: object) -> Told:
    told = msgspec.convert(data or {"at": 0.0}, Told)
    return told if told.status in SEVERITY else msgspec.structs.replace(told, status=Status.HEALTHY)


def encode(record: Record) -> bytes:
    """The record as it is stored."""
    models = {model: msgspec.to_builtins(told) for model, told in record.models.items()}
    return msgspec.json.encode(
        {**record.rest, **msgspec.to_builtins(record.account), "node": record.node, "models": models}
    )


def is_believable(told: Told, now: float) -> bool:
    """Whether it was not told in the future: by a clock that was wrong, it would count until the right one is there."""
    return told.at <= now + AHEAD


def _past(record: Record, now: float) -> Record:
    models = {model: told for model, told in record.models.items() if is_believable(told, now)}
    account = record.account if is_believable(record.account, now) else NOTHING
    return msgspec.structs.replace(record, account=account, models=models)


def merged(old: Record, new: Record, now: float) -> Record:
    """What two nodes know together."""
    old = _past(old, now)
    models = dict(old.models)
    for model, told in new.models.items():
        if model not in models or told.counts_before(models[model]):
            models[model] = told
    is_newer = new.account.counts_before(old.account)
    return Record(
        account=new.account if is_newer else old.account,
        models=latest(
            {model: told for model, told in models.items() if now - max(told.at, told.until) < FORGET_MODELS}
        ),
        node=new.node if is_newer else old.node,
        rest={**new.rest, **old.rest},
    )


def latest(models: dict[str, Told]) -> dict[str, Told]:
    """As many as are told of."""
    if len(models) <= MAX_MODELS:
        return models
    return dict(sorted(models.items(), key=lambda each: each[1].at)[-MAX_MODELS:])


def tellable(state: AccountState, at: float, offset: float) -> Told | None:
    """A state as it is told; None for what is nobody else's business. `offset`: store's clock minus ours."""
    match state.status:
        case Status.HALF_OPEN:
            return None
        case Status.HEALTHY | Status.DEGRADED:
            return Told(at=at, step=state.step)
        case _:
            return Told(
                at=at,
                status=state.status,
                until=round(state.until + offset, 3) if state.until != NEVER else 0.0,
                reason=state.reason,
                step=state.step,
            )


def heard(told: Told, offset: float) -> AccountState:
    """What was told as a state of ours."""
    return AccountState(
        status=told.status,
        until=told.until - offset,
        reason=told.reason,
        step=told.step,
        since=told.at - offset,
    )


def is_same(told: Told, other: Told | None) -> bool:
    """Whether nobody would learn anything from being told again."""
    return other is not None and msgspec.structs.replace(told, at=0.0) == msgspec.structs.replace(
        other, at=0.0
    )


class AdminWord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an admin said of an account. Nodes never write it."""

    disabled: bool = False
    at: float = 0.0
    by: str = ""
    retry: float = 0.0
    """When somebody asked for another try; what was told before does not count."""


def decode_word(value: bytes) -> AdminWord | None:
    """An admin's word, None when it cannot be read."""
    try:
        return msgspec.json.decode(value, type=AdminWord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def states(account: Account) -> dict[str | None, AccountState]:
    """The account's own state under None, then that of each model that is out on it."""
    return {None: account.state, **account.overlays}
