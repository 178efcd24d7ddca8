"""What a simulator can be told: keys, models, pace, secrets."""

from __future__ import annotations

import msgspec

DEFAULT_SECRET = "aiclient2api simulator"  # noqa: S105 - not a credential: it only makes answers reproducible
DEFAULT_MODELS = ("gpt-simulated", "claude-simulated", "gemini-3-simulated", "embedding-simulated")


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the simulated providers behave for every request.

    `keys` empty: any non-empty key is good, and without `require_key` none is needed.
    `models` empty: every model exists, `DEFAULT_MODELS` are listed. `events` is the exact number of text deltas of
    an answer, `interval` the seconds between two events. `seed` changes every generated id, `secret` every
    signature: simulators with different secrets refuse each other's thoughts, as accounts of different
    organizations do.
    """

    keys: tuple[str, ...] = ()
    require_key: bool = True
    models: tuple[str, ...] = ()
    events: int | None = None
    interval: float = 0.0
    seed: str = ""
    secret: str = DEFAULT_SECRET
    embedding_size: int = 16

    def __post_init__(self) -> None:
        if self.events is not None and self.events < 1:
            raise ValueError("events must be at least 1")
        if self.interval < 0:
            raise ValueError("interval must not be negative")
        if self.embedding_size < 1:
            raise ValueError("embedding_size must be at least 1")

    @property
    def listed_models(self) -> tuple[str, ...]:
        """The models a list request shows."""
        return self.models or DEFAULT_MODELS

    def admits(self, key: str) -> bool:
        """Whether a request with this key is served."""
        if self.keys:
            return key in self.keys
        return bool(key) or not self.require_key

    def knows(self, model: str) -> bool:
        """Whether a request may ask for this model."""
        return not self.models or model.removeprefix("simulator/") in self.models
