"""When the garbage collector looks at what: its pauses are silences of every stream.

Nearly everything a request makes is gone without it, by reference counts. Its full rounds would look at the whole
configuration, tens of milliseconds with a thousand accounts, for nothing.
"""

from __future__ import annotations

import gc
from typing import Final

SURPLUS: Final = 200_000
"""Objects made and not gone yet at which it looks: a thousand streams have as many. It looks at all that are alive,
0.1 s for every 100,000 of them, so it must not come in ordinary traffic. Cycles that nobody foresaw cost 20 MiB."""
ROUNDS: Final = 2
"""Rounds of one generation before the next older one is looked at."""


def look_away() -> None:
    """What is there now stays for good; call this once everything is built, in the process that serves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(SURPLUS, ROUNDS, ROUNDS)
