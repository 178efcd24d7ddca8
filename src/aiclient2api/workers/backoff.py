"""How long a worker that died waits for its successor."""

from __future__ import annotations

from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 5.0
"""Seconds; each death in a row doubles the pause."""
WELL: Final = 10.0
"""Seconds of life after which a death is the first one again."""
FLAPPING: Final = 5
"""Deaths in a row from which on somebody has to look."""


class Backoff:
    """Of one worker's place."""

    def __init__(self) -> None:
        self.deaths = 0
        """In a row."""

    @property
    def is_flapping(self) -> bool:
        """Whether it keeps dying."""
        return self.deaths >= FLAPPING

    def died(self, lived: float) -> float:
        """Seconds to wait after one more death; `lived` in seconds."""
        self.deaths = 1 if lived >= WELL else self.deaths + 1
        return min(LONGEST, FIRST * 2.0 ** min(self.deaths - 1, 16))
