"""Violations that are known and not yet repaired. An entry that is not violated any more fails its test: take it out."""

from __future__ import annotations

from typing import Final

SILENT_LOSSES: Final[dict[str, tuple[frozenset[str], str]]] = {}
"""Feature to the pairs (client>upstream) where nothing in the report tells of the loss, and what gets lost."""

FALSE_REPORTS: Final[dict[str, frozenset[str]]] = {}
"""Feature to the pairs where a loss is reported although the value arrives."""
