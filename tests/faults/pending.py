"""Cells that do not hold yet, with the reason. A cell in here that holds fails the suite, so that the table shrinks."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from tests.faults.cells import Cell


class Pending(Struct, frozen=True, kw_only=True):
    """One group of cells; what is not given fits all."""

    fault: str
    """Id, or id and title."""
    reason: str
    places: tuple[str, ...] = ("",)
    """Parts of a cell's place, and of its judge."""

    def fits(self, cell: Cell) -> bool:
        """Whether the cell is in the group."""
        return (cell.fault.key == self.fault or cell.fault.id == self.fault) and any(
            place in f"{cell.place} {cell.judge}" for place in self.places
        )


PENDING: Final[tuple[Pending, ...]] = (
    Pending(
        fault="F16 a gzip bomb",
        reason="a prelude counts as content: no failover behind it",
        places=(
            "anthropic>anthropic stream",
            "gemini>gemini stream spare",
            "gemini>openai_responses stream spare",
            "gemini>gemini stream alone raw",
            "gemini>openai_responses stream alone raw",
        ),
    ),
    Pending(
        fault="F31 200 with an error's body",
        reason="a relayed unary body is not looked at",
        places=(
            "anthropic>anthropic unary",
            "gemini>gemini unary",
            "openai_chat>openai_chat unary",
            "openai_responses>openai_responses unary",
        ),
    ),
    Pending(
        fault="F32 a stream that is called text/plain", reason="a stream is known by its content type only"
    ),
    Pending(
        fault="F33 206",
        reason="206 counts as an answer",
        places=(
            "gemini>gemini unary",
            "anthropic>anthropic stream alone",
            "anthropic>anthropic unary alone",
            "anthropic>openai_chat stream alone",
            "anthropic>openai_chat unary alone",
            "gemini>gemini stream alone",
            "gemini>openai_responses stream alone",
            "gemini>openai_responses unary alone",
            "openai_chat>anthropic stream alone",
            "openai_chat>anthropic unary alone",
            "openai_chat>openai_chat stream alone",
            "openai_chat>openai_chat unary alone",
            "openai_responses>gemini stream alone",
            "openai_responses>gemini unary alone",
            "openai_responses>openai_responses stream alone",
            "openai_responses>openai_responses unary alone",
            "anthropic>anthropic unary spare raw",
            "openai_chat>openai_chat unary spare raw",
            "openai_responses>openai_responses unary spare raw",
        ),
    ),
    Pending(
        fault="F34 a prelude, then silence",
        reason="a prelude counts as content: no failover behind it",
        places=(
            "anthropic>anthropic stream spare",
            "gemini>gemini stream spare",
            "gemini>openai_responses stream spare",
            "openai_chat>anthropic stream spare",
        ),
    ),
    Pending(
        fault="F36 a prelude, then a reset",
        reason="a prelude counts as content: no failover behind it",
        places=(
            "anthropic>anthropic stream",
            "openai_chat>anthropic stream",
            "gemini>gemini stream spare",
            "gemini>openai_responses stream spare",
            "gemini>gemini stream alone raw",
            "gemini>openai_responses stream alone raw",
        ),
    ),
    Pending(
        fault="F36 a prelude, then the end",
        reason="a prelude counts as content: no failover behind it",
        places=(
            "anthropic>anthropic stream",
            "openai_chat>anthropic stream",
            "gemini>gemini stream spare",
            "gemini>openai_responses stream spare",
            "gemini>gemini stream alone raw",
            "gemini>openai_responses stream alone raw",
        ),
    ),
    Pending(
        fault="F35 content, then only keep-alives",
        reason="keep-alives count as life for ever",
        places=(
            "gemini>gemini stream",
            "anthropic>anthropic stream alone raw",
            "anthropic>anthropic stream spare raw",
            "anthropic>openai_chat stream alone raw",
            "anthropic>openai_chat stream spare raw",
            "gemini>openai_responses stream alone raw",
            "gemini>openai_responses stream spare raw",
            "openai_chat>anthropic stream alone raw",
            "openai_chat>anthropic stream spare raw",
            "openai_chat>openai_chat stream alone raw",
            "openai_chat>openai_chat stream spare raw",
            "openai_responses>gemini stream alone raw",
            "openai_responses>gemini stream spare raw",
            "openai_responses>openai_responses stream alone raw",
            "openai_responses>openai_responses stream spare raw",
        ),
    ),
    Pending(
        fault="F49 an index that never began",
        reason="a relay does not check indexes",
        places=("anthropic>anthropic stream",),
    ),
    Pending(
        fault="F47 a finish without the end marker",
        reason="the finish of a candidate is not the end yet",
        places=("openai_chat>openai_chat stream alone raw",),
    ),
    Pending(fault="F47 a finish, then silence", reason="the finish of a candidate is not the end yet"),
    Pending(fault="F47 a finish, then closed", reason="the finish of a candidate is not the end yet"),
    Pending(
        fault="F49 two finishes",
        reason="the finish of a candidate is not the end yet",
        places=("gemini>gemini stream alone raw",),
    ),
    Pending(fault="F49 content after the finish", reason="the finish of a candidate is not the end yet"),
    Pending(
        fault="F50 open after the end",
        reason="the finish of a candidate is not the end yet",
        places=("gemini>gemini stream", "openai_responses>gemini stream", "openai_responses>gemini unary"),
    ),
    Pending(
        fault="F51 reset after the end",
        reason="the finish of a candidate is not the end yet",
        places=("gemini>gemini stream", "openai_responses>gemini stream", "openai_responses>gemini unary"),
    ),
    Pending(
        fault="F54 an empty answer",
        reason="an empty answer is passed on, and not asked for again",
        places=(
            "anthropic>openai_chat stream spare",
            "anthropic>openai_chat unary alone",
            "gemini>gemini stream spare",
            "gemini>gemini unary spare",
            "openai_chat>openai_chat stream spare",
            "openai_chat>openai_chat unary spare",
            "openai_responses>gemini stream spare",
            "openai_responses>gemini unary alone",
        ),
    ),
    Pending(
        fault="F42 no space after the colon",
        reason="a relay passes lines on that the Gemini SDK cannot read",
        places=("gemini>gemini stream alone sdk",),
    ),
    Pending(
        fault="F42 ids, retry times and comments",
        reason="a relay passes lines on that the Gemini SDK cannot read",
        places=("gemini>gemini stream alone sdk",),
    ),
    Pending(
        fault="F43 all events in one packet",
        reason="a relay passes comments on that the Gemini SDK cannot read",
        places=("gemini>gemini stream alone sdk",),
    ),
)


def reason(cell: Cell) -> str | None:
    """Why the cell need not hold yet."""
    return next((entry.reason for entry in PENDING if entry.fits(cell)), None)
