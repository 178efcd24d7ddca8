"""Errors that are kept, or told to somebody and done with, must not keep what they came through."""

from __future__ import annotations


def forget(error: BaseException) -> None:
    """Drop its traceback and those of its causes.

    Their frames hold requests, connections and streams, which often hold the error: cycles that only the garbage
    collector would end, and it is kept from coming (`server/garbage.py`).
    """
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
