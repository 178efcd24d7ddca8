"""Puts a schema where the upstream's dialect wants it."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.request import Schema
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.schema_dialect import to_json_schema, to_openapi
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json


class SchemaWriter:
    """Knows which dialect the upstream takes and reports what a schema loses."""

    def __init__(self, profile: ModelProfile, report: LossReport, *, own: bool) -> None:
        self._profile = profile
        self._report = report
        self._own = own

    def put(self, wire: Wire, names: tuple[str, str], schema: Schema, path: str, feature: str) -> None:
        """Under the name of the dialect that the upstream takes. Its own client's schema is never touched."""
        json_schema, openapi = names
        if schema.dialect == "openapi":
            wire[openapi] = schema.raw
            return
        if self._own and self._profile.json_schema:
            wire[json_schema] = schema.raw
            return
        convert = to_json_schema if self._profile.json_schema else to_openapi
        raw, notes = convert(schema.raw)
        for where, note in notes:
            self._report.approximated(feature, f"{path}{where.removeprefix('$')}", note)
        if self._profile.json_schema:
            wire[json_schema] = raw
        elif not _is_empty_object(raw):  # an object without properties is refused there
            wire[openapi] = raw


def _is_empty_object(schema: Raw) -> bool:
    members = json.decode(schema, dict[str, object])
    return members.get("type") == "OBJECT" and not members.get("properties")
