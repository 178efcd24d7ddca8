"""What an error loses between two protocols: seen by reading what was written, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_KNOWN: Final = frozenset(("type", "code", "message", "param", "status", "details"))
"""Members of an `error` that `ErrorInfo` has fields for; `status` is the word that goes with Google's code."""
_ENVELOPE: Final = frozenset(("type", "error", "request_id"))


def error_losses(body: bytes, info: ErrorInfo, told: ErrorInfo, target: str) -> list[Loss]:
    """`info` is what was read of `body`, `told` what a client of `target` reads of what it is sent.

    Numbers of the HTTP status say nothing beyond the class of the error, which every protocol has.
    """
    report = LossReport(target)
    if told.kind != info.kind:
        report.approximated("error.kind", "error", f"{info.kind} told as {told.kind}")
    if told.message != info.message:
        report.approximated("error.message", "error.message")
    if info.protocol != target:
        if info.code is not None and (told.code or "").lower() != info.code.lower():
            report.dropped("error.code", "error.code", info.code)
        if info.param is not None and told.param != info.param:
            report.dropped("error.param", "error.param", info.param)
        if info.details is not None and info.details != json.NULL:
            report.approximated(
                "error.details", "error.details", "their code, field and waiting time are told"
            )
    if info.retry_after is not None and told.retry_after is None:
        report.dropped("error.retry_after", "error")
    for path, name in _unknown(body):
        report.dropped(f"ext.{name}", path, info.protocol)
    return report.losses


def _unknown(body: bytes) -> Iterator[tuple[str, str]]:
    """Members that no field stands for."""
    try:
        outer = json.decode(body, dict[str, Raw])
        inner = json.decode(outer.get("error", b"{}"), dict[str, Raw])
    except MalformedMessage:
        return
    yield from (("", name) for name, value in outer.items() if name not in _ENVELOPE and value != json.NULL)
    yield from (("error", name) for name, value in inner.items() if name not in _KNOWN and value != json.NULL)
