"""May this server be used? Its kind, version, eviction policy and schema; each problem is one sentence."""

from __future__ import annotations

import time
from typing import Any, cast

import msgspec
from redis.exceptions import ResponseError

from aiclient2api import __version__
from aiclient2api.store import keys
from aiclient2api.store.address import Kind
from aiclient2api.store.base import SchemaOutdated, StoreUnusable
from aiclient2api.store.connection import Client

OLDEST = (6, 2)
NOT_OURS = f"{keys.META} is not readable: is this database used by something else?"


class Meta(msgspec.Struct, omit_defaults=True):
    """Who made the keys."""

    schema: int
    created: float = 0.0
    by: str = ""


async def check_server(client: Client, kind: Kind) -> None:
    """Look at one server that an address of this kind led to. Raises StoreUnusable."""
    info = parse_info(cast(bytes, await client.execute_command("INFO")))
    _check_mode(info, kind)
    _check_version(info)
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnusable(
            f"maxmemory-policy is {policy}, which would let the server drop state; set it to noeviction"
        )


async def check_schema(client: Client) -> None:
    """The version of the keys, written where there is none; the client of whoever holds it. Raises StoreUnusable."""
    fresh = msgspec.json.encode(
        Meta(schema=keys.SCHEMA_VERSION, created=round(time.time(), 3), by=f"aiclient2api {__version__}")
    )
    try:
        reply: Any = await client.execute_command("GET", keys.META)
    except ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            raise StoreUnusable(NOT_OURS) from None
        raise
    if reply is None:
        await client.execute_command("SET", keys.META, fresh, "NX")
        return
    problem = schema_problem(bytes(reply))
    if problem is not None:
        is_old = version_of(bytes(reply)) in range(1, keys.SCHEMA_VERSION)
        raise SchemaOutdated(problem) if is_old else StoreUnusable(problem)


def version_of(meta: bytes) -> int:
    """The schema version in a database's mark; 0 when it cannot be read."""
    try:
        return msgspec.json.decode(meta, type=Meta).schema
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0


def schema_problem(found: bytes) -> str | None:
    """Why keys with this mark cannot be used by this version, None when they can."""
    try:
        version = msgspec.json.decode(found, type=Meta).schema
    except msgspec.DecodeError:
        return NOT_OURS
    if version > keys.SCHEMA_VERSION:
        return (
            f"its keys have schema version {version}, this program knows {keys.SCHEMA_VERSION}: "
            "upgrade the program, or use another database"
        )
    if version < keys.SCHEMA_VERSION:
        return f"its keys have schema version {version}: run `aiclient2api state migrate`"
    return None


def _check_mode(info: dict[str, str], kind: Kind) -> None:
    # what is none of these a service may hide; servers that do not know CLUSTER or SENTINEL say so themselves
    if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):  # the latter is Valkey's word
        raise StoreUnusable("is a sentinel, use redis+sentinel://")
    if info.get("cluster_enabled") == "1" and kind != "cluster":
        raise StoreUnusable("is a member of a cluster, use redis+cluster://")


def _check_version(info: dict[str, str]) -> None:
    # Valkey answers with the Redis version it is compatible with, 7.2.4, and its own beside it
    version = info.get("redis_version", "")
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return  # a service that hides its version
    if (int(parts[0]), int(parts[1])) < OLDEST:
        raise StoreUnusable(f"the server is Redis {version}; 6.2 or later is needed")


def parse_info(text: bytes) -> dict[str, str]:
    """INFO's lines."""
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in lines}
