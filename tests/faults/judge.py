"""Whether what came back is what the catalogue says: pure functions that return a list of complaints."""

from __future__ import annotations

import json
from typing import Any, Final

import anthropic
import httpx
import httpx2
import openai
from google import genai

from tests.faults.asking import Seen, Told, told
from tests.faults.cells import Cell
from tests.faults.official import Heard
from tests.faults.refusals import CANARY, REFUSALS
from tests.faults.script import Refuse
from tests.faults.voices import CHAT, GEMINI, MESSAGES, PIECES, RESPONSES, text_of

_SAID: Final = {
    529: {CHAT: 503, RESPONSES: 503, MESSAGES: 529, GEMINI: 503},
    502: {CHAT: 502, RESPONSES: 502, MESSAGES: 502, GEMINI: 503},
}
"""Where the protocols have different statuses for the same thing (reliability 4)."""
TRANSPORT_ERRORS: Final = (httpx.HTTPError, httpx2.HTTPError, ConnectionError, OSError)
MAX_RETRY_AFTER: Final = 30


def statuses(cell: Cell) -> set[int]:
    """The statuses of an S in the client's protocol."""
    return {_SAID.get(status, {}).get(cell.client, status) for status in cell.statuses}


def expected_text(cell: Cell, nonce: str) -> str:
    """The text of a complete answer: the spare account's is always the usual one."""
    text = cell.fault.text
    return text_of(nonce) if text is None or cell.code == "T" else text


def raw_problems(cell: Cell, nonce: str, seen: Seen) -> list[str]:
    """Complaints about the bytes."""
    if seen.hung:
        return ["it hung"]
    if not seen.status:
        return ["no answer at all"]
    found = [f"shows {CANARY}"] if CANARY.encode() in seen.body or CANARY in str(seen.headers) else []
    match cell.code:
        case "T" | "C":
            return found + _complete(cell, nonce, seen)
        case "M":
            return found + _broken_off(cell, nonce, seen)
        case "S":
            return found + _refused(cell, seen)
        case "P":
            return found + _passed_on(cell, seen)
        case "S or M":
            return found + (_broken_off(cell, nonce, seen) if seen.status == 200 else _refused(cell, seen))


def _complete(cell: Cell, nonce: str, seen: Seen) -> list[str]:
    if seen.status != 200:
        return [f"status {seen.status}: {seen.body[:150]!r}"]
    answer = told(cell.client, seen, stream=cell.stream)
    found = list(answer.problems)
    if not seen.complete:
        found.append(f"the connection was broken off: {answer.error}")
    if answer.error is not None:
        found.append(f"an error: {answer.error}")
    if answer.text != expected_text(cell, nonce):
        found.append(f"text {answer.text!r}")
    # Google's own servers may repeat the finish reason
    if not answer.ends or (answer.ends > 1 and cell.client != GEMINI):
        found.append(f"{answer.ends} ends")
    return found


def _broken_off(cell: Cell, nonce: str, seen: Seen) -> list[str]:
    if seen.status != 200:
        return [f"status {seen.status} instead of a broken stream: {seen.body[:150]!r}"]
    answer = told(cell.client, seen, stream=True)
    found = list(answer.problems)
    if seen.complete:
        found.append("FALSE SUCCESS: the HTTP body ended as if all was well")
    if answer.ends:
        found.append("FALSE SUCCESS: an end that the upstream did not send")
    whole = text_of(nonce)
    if not whole.startswith(answer.text):
        found.append(f"text {answer.text!r} is no beginning of the upstream's")
    if cell.code == "M" and PIECES[0][:6].decode() not in answer.text:
        found.append(f"content is missing: {answer.text!r}")
    return found + _in_band(cell.client, answer)


def _in_band(client: str, answer: Told) -> list[str]:
    """The error frame, as section 4 has it."""
    error = answer.error
    if error is None or not answer.error_is_last:
        return ["no error at the end of the stream"]
    missing = [
        name
        for name in {GEMINI: ("code", "message", "status"), MESSAGES: ("type", "message")}.get(
            client, ("message",)
        )
        if not error.get(name)
    ]
    found = [f"the error has no {name}" for name in missing]
    if client == GEMINI and not isinstance(error["code"], int):
        found.append("the code is no number")
    return found


def _refused(cell: Cell, seen: Seen) -> list[str]:
    wanted = statuses(cell)
    if seen.status not in wanted:
        return [f"status {seen.status}, not {sorted(wanted)}: {seen.body[:150]!r}"]
    found = [] if seen.complete else ["the error's body is cut"]
    if "x-should-retry" not in seen.headers:
        found.append("no x-should-retry")
    if "x-request-id" not in seen.headers:
        found.append("no x-request-id")
    wait = seen.headers.get("retry-after")
    if wait is not None and not (wait.isdigit() and 1 <= int(wait) <= MAX_RETRY_AFTER):
        found.append(f"Retry-After {wait!r}")
    return found + _error_shape(cell.client, seen)


def _error_shape(client: str, seen: Seen) -> list[str]:
    try:
        tree: dict[str, Any] = json.loads(seen.body)
        error = tree["error"]
        if client == GEMINI:
            assert isinstance(error["code"], int) and error["status"]
        elif client == MESSAGES:
            assert tree["type"] == "error" and error["type"]
        else:
            assert error["type"] and "code" in error
        assert error["message"]
    except (ValueError, KeyError, TypeError, AssertionError) as problem:
        return [f"not an error of {client}: {problem!r}: {seen.body[:150]!r}"]
    return [] if "<html" not in error["message"] else ["HTML in the message"]


def _passed_on(cell: Cell, seen: Seen) -> list[str]:
    found = [] if seen.status in cell.statuses else [f"status {seen.status}: {seen.body[:150]!r}"]
    (refusal,) = [step for step in cell.fault.stream if isinstance(step, Refuse)]
    words: str = json.loads(REFUSALS[refusal.kind][cell.upstream].body)["error"]["message"]
    if words not in seen.body.decode():
        found.append(f"not the upstream's words: {seen.body[:200]!r}")
    return found + _error_shape(cell.client, seen)


def sdk_problems(cell: Cell, nonce: str, heard: Heard) -> list[str]:
    """Complaints about what an ordinary program would see."""
    match cell.code:
        case "T" | "C":
            found = [f"raised {heard.error!r}"] if heard.error is not None else []
            if heard.text != expected_text(cell, nonce):
                found.append(f"text {heard.text!r}")
            if heard.error is None and not heard.finished:
                found.append("not finished")
            return found
        case "M":
            return _raised(heard, nonce)
        case "S":
            return _status_raised(heard, cell.client, statuses(cell))
        case "P":
            return _status_raised(heard, cell.client, set(cell.statuses))
        case "S or M":
            return [] if not _raised(heard, nonce) else _status_raised(heard, cell.client, statuses(cell))


def _raised(heard: Heard, nonce: str) -> list[str]:
    found = [] if text_of(nonce).startswith(heard.text) else [f"text {heard.text!r}"]
    if heard.error is None:
        found.append(f"FALSE SUCCESS: nothing was raised, {'finished' if heard.finished else 'not finished'}")
    elif not isinstance(
        heard.error, (openai.APIError, anthropic.APIError, genai.errors.APIError, *TRANSPORT_ERRORS)
    ):
        found.append(f"the SDK stumbled: {heard.error!r}")
    return found


def _status_raised(heard: Heard, client: str, wanted: set[int]) -> list[str]:
    error = heard.error
    if error is None:
        return [f"FALSE SUCCESS: no error, text {heard.text!r}"]
    right: type[Exception] = {
        CHAT: openai.APIStatusError,
        RESPONSES: openai.APIStatusError,
        MESSAGES: anthropic.APIStatusError,
        GEMINI: genai.errors.APIError,
    }[client]
    if not isinstance(error, right):
        return [f"raised {error!r}"]
    status: int = getattr(error, "status_code", None) or getattr(error, "code", 0)
    return [] if status in wanted else [f"status {status}, not {sorted(wanted)}: {error}"]
