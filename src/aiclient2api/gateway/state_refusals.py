"""Whether an upstream complains about reasoning state: the health of envelopes and side table.

After a conversion such an error means that we, or the client, lost a signature or changed what stood before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.loss import Loss

_CODES: Final = frozenset(("invalid_encrypted_content",))
"""OpenAI, Responses: the content of a reasoning item could not be verified."""
_WORDS: Final = (
    "`signature` in `thinking` block",  # Anthropic, extended thinking: altered, foreign, or of another conversation
    "`thinking` or `redacted_thinking` blocks",  # Anthropic: the latest assistant message was modified
    "expected `thinking` or `redacted_thinking`",  # Anthropic: a turn with calls begins with its thought
    "thought_signature",  # Google, thought signatures: a call of the current turn has none
    "thought signature",  # Google: "Corrupted thought signature."
    "encrypted content",  # OpenAI: "The encrypted content … could not be verified."
    "without its required following item",  # OpenAI: a reasoning item stands alone
)
_FEATURES: Final = frozenset(("reasoning.signature", "ext.input_transformations"))
"""In the loss report of an answer that came nevertheless: Google's finish reason for a missing signature, and
Anthropic's list of thoughts that were withheld from the model because they did not fit what stands before them."""


def misses_state(losses: Iterable[Loss]) -> bool:
    """Whether an answer says that its upstream did without some of the state."""
    return any(loss.feature in _FEATURES for loss in losses)


def refuses_state(info: ErrorInfo) -> bool:
    """Whether the error is about a signature or encrypted reasoning in the request."""
    if info.protocol is None or info.kind != "invalid":
        return False
    message = info.message.lower()
    return info.code in _CODES or any(word in message for word in _WORDS)
