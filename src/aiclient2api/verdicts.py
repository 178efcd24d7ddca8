"""What can go wrong, and what an upstream's failure means: where the request goes next, what happens, and to whom."""

from __future__ import annotations

from enum import Enum
from typing import Literal

ErrorKind = Literal[
    "invalid",
    "auth",
    "billing",
    "permission",
    "not_found",
    "method",
    "conflict",
    "too_large",
    "rate_limit",
    "quota",
    "content_policy",
    "context_length",
    "client_timeout",
    "timeout",
    "overloaded",
    "unavailable",
    "cancelled",
    "unimplemented",
    "upstream",
    "internal",
]
"""What went wrong, independent of protocol. Each protocol's `errors.py` maps it to status, type and code."""


class Failover(Enum):
    """Where a failed attempt goes next."""

    NEVER = "never"
    NEXT_ACCOUNT = "next account"
    NEXT_TARGET = "next target"


class Penalty(Enum):
    """What a failed attempt does to the account it ran on."""

    NONE = "none"
    STRIKE = "strike"
    COOL = "cool"
    DISABLE = "disable"


class Scope(Enum):
    """Whose trouble a failure is. It changes health there and nowhere else."""

    REQUEST = "request"
    ACCOUNT = "account"
    ACCOUNT_MODEL = "account+model"
    PROVIDER_MODEL = "provider+model"
    HOST = "host"
    GATEWAY = "gateway"
