"""What the commands for client keys have in common: names, new texts, times, rows of a list."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, cast

import click

from aiclient2api.config.model import Config
from aiclient2api.keys.record import KeyHash, KeyRecord
from aiclient2api.keys.ring import key_hash
from aiclient2api.server.first_start import derive, kept_secret, new_client_key

HINT: Final = 4
"""Characters of a key that are kept to recognize it by."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
GENERATED: Final = "generated"
"""The name of the key that a first start makes."""
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def check_new_name(config: Config, name: str) -> None:
    """A name that a key may have. Raises click.BadParameter."""
    if NAME.fullmatch(name) is None:
        raise click.BadParameter(f"{name!r}: a name has letters, digits, `.`, `_` and `-`, and no sign first")
    if name == GENERATED or any(name == key.name for key in config.keys):
        raise click.BadParameter(f"{name!r} is the name of a key outside of the store")


def new_text(config: Config) -> tuple[str, KeyHash]:
    """A new key, and what is kept of it."""
    text = new_client_key()
    digest = key_hash(_pepper(config), text)
    return text, KeyHash(hash=digest.hex(), hint=text[-HINT:])


def _pepper(config: Config) -> bytes:
    secret = config.secrets.key
    return derive(secret.reveal() if secret is not None else kept_secret(config.store.data_dir)).pepper


class Span(click.ParamType[float]):
    """A time span in seconds, written `90s`, `30m`, `24h`, `7d`."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        if isinstance(value, float):
            return value
        span = _span(str(value))
        if span is None:
            self.fail(f"{value!r} is not a time span like 90s, 30m, 24h or 7d", param, ctx)
        return span


class Moment(click.ParamType[Callable[[float], float]]):
    """A date with zone, or a span from now: a function from now to Unix time in seconds."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Callable[[float], float]:
        """See click."""
        if callable(value):
            return cast(Callable[[float], float], value)
        span = _span(str(value))
        if span is not None:
            return lambda now: now + span
        try:
            date = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is neither a date like 2027-01-31T00:00:00Z nor a span like 30d", param, ctx
            )
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        moment = date.timestamp()
        return lambda _: moment


def _span(text: str) -> float | None:
    match = _SPAN.fullmatch(text)
    return None if match is None else float(match[1]) * _SECONDS[match[2]]


def shown_moment(moment: float | None) -> str | None:
    """Unix time as people and programs read it."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(record: KeyRecord, now: float) -> Mapping[str, object]:
    """A record as it is listed: everything but the hashes."""
    current = [each for each in record.hashes if each.until is None or each.until > now]
    return {
        "name": record.name,
        "state": record.state(now),
        "label": record.label,
        "keys": [
            {"ends_in": each.hint, "until": shown_moment(each.until)}
            if each.until
            else {"ends_in": each.hint}
            for each in current
        ],
        "models": record.models,
        "rpm": record.rpm,
        "tpm": record.tpm,
        "concurrency": record.concurrency,
        "strict": record.strict,
        "expires": shown_moment(record.expires),
        "created": shown_moment(record.created),
        "source": "store",
    }


def who() -> str:
    """Whose change it is."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
