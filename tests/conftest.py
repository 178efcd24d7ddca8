"""How examples are drawn: the same ones in every run, however slow the machine is.

`--hypothesis-profile explore` draws others each time; the deep runs have seeds of their own.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("explore", deadline=None)
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")
