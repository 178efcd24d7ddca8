"""Store URLs as values. Never shows a password.

    memory · embedded
    redis://[user:password@]host[:port][/db]      rediss:// the same over TLS
    unix:///path/to/socket[?db=0&password=…]
    redis+sentinel://[user:password@]host:port,host:port/name[/db][?tls=true&sentinel_password=…&sentinel_tls=false]
    redis+cluster://[user:password@]host:port,host:port[?tls=true]

`?ca=/path` names the certificate authority where TLS is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

Kind = Literal["memory", "embedded", "single", "unix", "sentinel", "cluster"]
_KINDS: Final[Mapping[str, Kind]] = {
    "redis": "single",
    "rediss": "single",
    "unix": "unix",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_PORT, _SENTINEL_PORT = 6379, 26379
_OPTIONS: Final[Mapping[Kind, frozenset[str]]] = {
    "single": frozenset(("ca", "db")),
    "unix": frozenset(("db", "password", "username")),
    "sentinel": frozenset(("ca", "tls", "sentinel_password", "sentinel_tls", "sentinel_username")),
    "cluster": frozenset(("ca", "tls")),
}


class Address(Struct, frozen=True, kw_only=True):
    """Where a store is and how to log in."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    """Of the socket."""
    name: str = ""
    """Of the master, for sentinels."""
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    is_tls: bool = False
    is_sentinel_tls: bool = False
    ca: str | None = None

    def __repr__(self) -> str:
        return f"Address({self.shown})"

    @property
    def shown(self) -> str:
        """The address for people, without user and password."""
        if self.kind in ("memory", "embedded"):
            return self.kind
        if self.kind == "unix":
            return f"unix://{self.path}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        scheme = {"single": "rediss" if self.is_tls else "redis"}.get(self.kind, f"redis+{self.kind}")
        return f"{scheme}://{hosts}{f'/{self.name}' if self.name else ''}"


def parse(url: str) -> Address:
    """The address. ValueError says what is wrong without quoting a password."""
    if url == "memory":
        return Address(kind="memory")
    if url == "embedded":
        return Address(kind="embedded")
    parts = urlsplit(url)
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        known = ", ".join(f"{scheme}://" for scheme in _KINDS)
        raise ValueError(f"must be embedded, memory, or begin with one of {known}")
    options = dict(parse_qsl(parts.query))
    unknown = sorted(set(options) - _OPTIONS[kind])
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} (known: {', '.join(sorted(_OPTIONS[kind]))})")
    user, password, hosts = _authority(parts.netloc, _SENTINEL_PORT if kind == "sentinel" else _PORT)
    if kind == "unix":
        if not parts.path.startswith("/") or parts.netloc:
            raise ValueError("must name a socket like unix:///run/redis.sock")
        return Address(
            kind=kind,
            path=unquote(parts.path),
            db=_number(options.get("db", "0"), "db"),
            username=options.get("username"),
            password=options.get("password"),
        )
    if not hosts:
        raise ValueError("must name a host")
    if kind == "single" and len(hosts) > 1:
        raise ValueError("names several hosts: use redis+sentinel:// or redis+cluster://")
    name, db = _path(kind, parts.path)
    is_tls = parts.scheme == "rediss" or _truth(options, "tls", default=False)
    if "ca" in options and not is_tls:
        how = "rediss://" if kind == "single" else "?tls=true"
        raise ValueError(f"has a ca but no TLS: say {how}")
    return Address(
        kind=kind,
        hosts=hosts,
        name=name,
        db=_number(options.get("db", db), "db"),
        username=user,
        password=password,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        is_tls=is_tls,
        is_sentinel_tls=kind == "sentinel" and _truth(options, "sentinel_tls", default=is_tls),
        ca=options.get("ca"),
    )


def _truth(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    match options.get(name, "").lower():
        case "":
            return default
        case "true" | "1" | "yes":
            return True
        case "false" | "0" | "no":
            return False
        case _:
            raise ValueError(f"{name} must be true or false")


def _path(kind: Kind, path: str) -> tuple[str, str]:
    """The sentinels' name of the master, and the database."""
    steps = [unquote(step) for step in path.split("/") if step]
    if kind == "sentinel":
        if not steps or len(steps) > 2:
            raise ValueError("must end with the master's name, like redis+sentinel://host:26379/mymaster")
        return steps[0], steps[1] if len(steps) == 2 else "0"
    if kind == "cluster" and steps and steps != ["0"]:
        raise ValueError("a cluster has only database 0")
    if len(steps) > 1:
        raise ValueError("ends with more than a database number")
    return "", steps[0] if steps else "0"


def _authority(netloc: str, default: int) -> tuple[str | None, str | None, tuple[tuple[str, int], ...]]:
    login, _, places = netloc.rpartition("@")
    user, _, password = login.partition(":")
    hosts: list[tuple[str, int]] = []
    for place in filter(None, places.split(",")):
        host, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, port = place, str(default)
        number = _number(port, "the port")
        if not host or not 0 < number < 65536:
            raise ValueError("has a port that is none" if host else "must name a host")
        hosts.append((host.strip("[]"), number))
    return unquote(user) or None, unquote(password) or None, tuple(hosts)


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise ValueError(
            f"{what} must be a number (and '@', ':' or '/' in a password written as %40, %3A, %2F)"
        )
    return int(text)
