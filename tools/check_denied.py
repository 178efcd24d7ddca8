"""Versions that must never be locked. A vulnerability database may be out of reach, this list is not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DENIED = (
    ("aiohttp", re.compile(r"3\.14\.[0-2]"), "a cancelled request poisons the connection pool"),
    ("redis", re.compile(r"8\.1\.0"), "a connection that the server closed while it was idle raises"),
    ("starlette", re.compile(r"0\..*|1\.0\.0"), "CVE-2026-48710: the Host header poisons request.url.path"),
)
_LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", re.MULTILINE)


def problems() -> list[str]:
    """Every denied version in a lock file."""
    found: list[str] = []
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        for name, version in _LOCKED.findall(lock.read_text(encoding="utf-8")):
            found.extend(
                f"{lock.name}: {name} {version}: {reason}"
                for denied, versions, reason in DENIED
                if name.lower() == denied and versions.fullmatch(version)
            )
    return found


if __name__ == "__main__":
    rows = problems()
    for row in rows:
        print(row, file=sys.stderr)  # noqa: T201
    sys.exit(1 if rows else 0)
