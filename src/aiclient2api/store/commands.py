"""Writes as Redis commands. Pure. Only what Redis 6.2 has; no KEYS, no scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiclient2api.store.base import (
    Add,
    AddFields,
    Delete,
    DropFields,
    Put,
    PutFields,
    Rank,
    Unrank,
    Write,
)

Command = tuple[str | bytes | int | float, ...]


def milliseconds(ttl: float) -> int:
    """Redis takes whole ones, at least 1."""
    return max(1, round(ttl * 1000))


def put(key: str, value: bytes, ttl: float | None) -> Command:
    """SET, with its end if it has one."""
    return ("SET", key, value) if ttl is None else ("SET", key, value, "PX", milliseconds(ttl))


def commands(write: Write) -> Iterator[Command]:
    """What a write is made of."""
    match write:
        case Put(key, value, ttl):
            yield put(key, value, ttl)
        case Delete(key):
            yield ("UNLINK", key)
        case Add(key, by, ttl):
            yield ("INCRBY", key, by)
            yield from _expiry(key, ttl)
        case AddFields(key, amounts, ttl):
            yield from (("HINCRBY", key, name, amount) for name, amount in amounts.items())
            yield from _expiry(key, ttl)
        case PutFields(key, values, ttl):
            yield from _with(("HSET", key), [part for pair in values.items() for part in pair])
            yield from _expiry(key, ttl)
        case DropFields(key, names):
            yield from _with(("HDEL", key), names)
        case Rank(key, member, score, least):
            yield ("ZADD", key, repr(float(score)), member)
            yield from _lowest(key, least)
        case Unrank(key, members):
            yield from _with(("ZREM", key), members)


def _with(command: Command, arguments: Sequence[str | bytes]) -> Iterator[Command]:
    """Redis refuses these commands without arguments."""
    if arguments:
        yield (*command, *arguments)


def _lowest(key: str, least: float | None) -> Iterator[Command]:
    if least is not None:
        yield ("ZREMRANGEBYSCORE", key, "-inf", f"({float(least)!r}")


def _expiry(key: str, ttl: float | None) -> Iterator[Command]:
    if ttl is not None:
        yield ("PEXPIRE", key, milliseconds(ttl))
