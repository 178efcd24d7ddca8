"""Error bodies that are none of the four protocols': what servers and what stands before them say in their own way."""

from __future__ import annotations

from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire import json


class _Problem(Struct):
    msg: str
    loc: list[str | int] = []


def plain_message(members: dict[str, Raw]) -> str | None:
    """The words for the user in `message`, `error` or `detail`, None when there are none.

    FastAPI's `detail` is a text or a list of what is wrong where (fastapi.tiangolo.com/tutorial/handling-errors);
    what was sent, which such a list repeats, is left out. Mistral puts it into `message`.
    """
    for name in ("message", "error", "detail"):
        said = members.get(name)
        if said is not None and (message := _text(said) or _problems(said)):
            return message
    return None


def _text(raw: Raw) -> str | None:
    return json.decode(raw, str) if json.is_string(raw) else None


def _problems(raw: Raw) -> str | None:
    try:
        if json.is_object(bytes(raw)):
            raw = json.decode(raw, dict[str, Raw]).get("detail", json.NULL)
        found = json.decode(raw, list[_Problem])
    except MalformedMessage:
        return None
    told = [f"{'.'.join(map(str, each.loc))}: {each.msg}" if each.loc else each.msg for each in found]
    return "; ".join(told) or None
