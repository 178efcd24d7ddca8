"""Secrets that never show themselves."""

from __future__ import annotations

from msgspec import Struct


class Secret:
    """A secret value. `repr`, `str` and logs show asterisks; only `reveal` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


class Credentials(Struct, frozen=True):
    """What an account signs its requests with."""

    secret: Secret
    generation: int = 0
    """Of a token that expires; 0 for a key."""
