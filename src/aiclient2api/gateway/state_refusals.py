"""Whether an upstream complains about reasoning state: the health of envelopes and side table.

After a conversion such an error means that we, or the client, lost a signature or changed what stood before it.
"""

from __future__ import annotations

from typing import Final

from aiclient2api.errors import ErrorInfo

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


def refuses_state(info: ErrorInfo) -> bool:
    """Whether the error is about a signature or encrypted reasoning in the request."""
    if info.protocol is None or info.kind != "invalid":
        return False
    message = info.message.lower()
    return info.code in _CODES or any(word in message for word in _WORDS)
