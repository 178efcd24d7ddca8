"""Violations that are known and not yet repaired. An entry that is not violated any more fails its test: take it out."""

from __future__ import annotations

from typing import Final

SILENT_LOSSES: Final[dict[str, tuple[frozenset[str], str]]] = {
    "control.effort": (frozenset({"or>oc"}), "named tool.hosted"),
    "tool_call.id": (
        frozenset({"or>oc", "am>oc", "am>or", "am>gg", "gg>oc"}),
        "an id that the target does not take is replaced",
    ),
    "tool_call.no_id": (
        frozenset({"oc>gg", "or>gg", "am>gg"}),
        "an id is made up where the upstream gave none",
    ),
    "response.tier": (
        frozenset({"oc>gg", "am>oc", "am>or", "am>gg", "gg>oc", "gg>or", "gg>am"}),
        "the tier of an answer",
    ),
    "headers.beta": (frozenset({"am>oc", "am>or", "am>gg"}), "anthropic-beta"),
    "response.ratings": (
        frozenset({"oc>or", "oc>gg", "or>oc", "or>gg", "am>oc", "am>or", "am>gg", "gg>oc", "gg>or"}),
        "members of an answer beside its content",
    ),
    "response.fingerprint": (frozenset({"or>oc", "am>oc", "gg>oc"}), "system_fingerprint"),
    "finish.pause": (
        frozenset({"oc>am", "oc>gg", "or>am", "or>gg", "am>gg", "gg>am"}),
        "an answer that is to be continued",
    ),
}
"""Feature to the pairs (client>upstream) where nothing in the report tells of the loss, and what gets lost."""

FALSE_REPORTS: Final[dict[str, frozenset[str]]] = {"reasoning.show": frozenset({"am>oc", "or>oc"})}
"""Feature to the pairs where a loss is reported although the value arrives."""
