"""What the edge asks of the other workers of the same gateway, where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from msgspec import Struct

Status = Literal["ok", "degraded", "unavailable"]


class Health(Struct, frozen=True):
    """Whether requests can be served, and what each worker says of that; without workers nothing is said of them."""

    status: Status
    workers: Mapping[str, str] | None = None


class Siblings(Protocol):
    """All workers together. An answer that does not come in time is None."""

    async def metrics(self) -> bytes | None:
        """The page for operators."""
        ...

    async def health(self) -> Health | None:
        """Whether some worker can serve."""
        ...
