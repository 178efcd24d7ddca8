"""The fifteen laws by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.laws import laws, more_laws, silence
from tests.laws.words import Words

Law = Callable[[Words, str, str], None]

LAWS: Final[dict[str, Law]] = {
    "L0": laws.l0_identity,
    "L1": laws.l1_normal_form,
    "L2": laws.l2_normal_form_is_meaning_free,
    "L3": laws.l3_section,
    "L4": laws.l4_round_trip,
    "L5": laws.l5_conversation,
    "L6": laws.l6_stream_coherence,
    "L7": laws.l7_prefix,
    "L8": silence.l8_no_silent_loss,
    "L9": laws.l9_purity,
    "L10": more_laws.l10_errors,
    "L11": more_laws.l11_usage,
    "L12": more_laws.l12_totality,
    "L13": more_laws.l13_client_safety,
    "L14": more_laws.l14_containment,
}

IN_CI: Final = 1_008
"""Examples of each law in CI, over all pairs."""
DEEP: Final = dict.fromkeys(LAWS, 100_000) | {"L13": 10_000, "L12": 1_000_000}
"""Examples of each law in the deep run; L12 holds every decoder against hostile bytes."""
