"""Runs an edge case: steps between a client and an upstream, inputs and exact outputs as files.

`steps.json` lists the steps of a case. Each converts its file `in` and gives its file `out`:

- `request`: a client's request becomes an upstream's.
- `answer`, `stream`: an upstream's answer, unary or streamed, becomes the client's; `of` is the request's step.
- `error`: an upstream's error becomes the client's; with `last` as it is told when every account gave it.
- `refused`: a client's request that is answered with the error in `out`.

`losses` is all that the report says of a request or an answer: act, feature, path. What an answer leaves in the side
table is there for the requests behind it, but for one with `forgotten`. Envelopes are written E1, E2, … in the order in
which they are first given to a client.

`python -m tests.protocols.edge_cases` writes what comes out; look at the difference before you commit it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from aiclient2api.errors import ClientError, ErrorInfo, MalformedMessage, Unrepresentable
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.conversion import Conversion, Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.pivot_streams import FoldingStream
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.side_table import wanted
from aiclient2api.providers.classify import classify
from aiclient2api.providers.profiles import anthropic_profile, gemini_profile, openai_profile
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse
from tests.fakes.sealing import CARRIER

GOLDEN: Final = Path(__file__).parent / "golden" / "edge_cases"
CONVERTERS: Final = {converter.name: converter for converter in BUILTIN}
FACTORY: Final = ConverterFactory(BUILTIN, CARRIER)
TENANT: Final = "alice"
PATHS: Final = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
}
PROFILES: Final[dict[str, Callable[[str, str], ModelProfile]]] = {
    "openai_chat": openai_profile,
    "openai_responses": openai_profile,
    "anthropic": anthropic_profile,
    "gemini": gemini_profile,
}
_ENVELOPE: Final = re.compile(r"Z3ctY2Fycnkx[A-Za-z0-9+/]+=*")
_PLACEHOLDER: Final = re.compile(r'"(E\d+)"')

Step = dict[str, Any]


def entries(losses: list[Loss]) -> list[str]:
    """Every entry of a report: what became of what, and where."""
    return sorted(f"{loss.act} {loss.feature} {loss.path}" for loss in losses)


class Case:
    """One case and what has happened in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps: list[Step] = json.loads((folder / "steps.json").read_text())
        self._envelopes: dict[str, str] = {}
        self._conversions: dict[str, Conversion] = {}
        self._table: dict[str, bytes | None] = {}

    def run(self, step: Step) -> tuple[str, list[str] | None]:
        """The text that `out` must hold, and the losses where there is a report."""
        match step["kind"]:
            case "request":
                conversion = self._convert(step)
                self._conversions[step["out"]] = conversion
                return self._shown(conversion.request.body), entries(conversion.losses)
            case "refused":
                return self._refusal(step), None
            case "answer":
                conversion = self._conversions[step["of"]]
                response = WireResponse(status=200, body=self._read(step), headers=JSON_HEADERS)
                told = conversion.whole(response)
                return self._shown(told.response.body), entries(told.losses)
            case "stream":
                return self._streamed(step)
            case "error":
                return self._error(step), None
            case other:
                raise ValueError(other)

    def _read(self, step: Step) -> bytes:
        text = (self.folder / step["in"]).read_text()
        opened = _PLACEHOLDER.sub(lambda found: f'"{self._named(found[1])}"', text)
        return opened.encode()

    def _named(self, name: str) -> str:
        return next((envelope for envelope, known in self._envelopes.items() if known == name), name)

    def _hide(self, text: str) -> str:
        def named(found: re.Match[str]) -> str:
            return self._envelopes.setdefault(found[0], f"E{len(self._envelopes) + 1}")

        return _ENVELOPE.sub(named, text)

    def _shown(self, body: bytes) -> str:
        """Indented, with numbers and texts as they are: what must be exact is inside strings or spliced."""
        return msgspec.json.format(self._hide(body.decode()), indent=1) + "\n"

    def _inbound(self, step: Step) -> Inbound:
        client, model = step["client"], step.get("asked", "m")
        path, query = PATHS.get(client, f"/v1beta/models/{model}:generateContent"), ""
        if client == "gemini" and step.get("stream"):
            path, query = (
                path.replace(":generate", ":streamGenerate").replace("generateC", "GenerateC"),
                "alt=sse",
            )
        headers = tuple((name, value) for name, value in step.get("headers", {}).items())
        wire = WireRequest(path=path, query=query, body=self._read(step), headers=headers)
        return Inbound(CONVERTERS[client], wire, TENANT)

    def _convert(self, step: Step) -> Conversion:
        model, upstream = step["model"], step["upstream"]
        profile = PROFILES[upstream](model, upstream)
        streams, remember = step.get("stream", False), self._table.__setitem__
        target = Target(model=model, profile=profile, streams=streams, remember=remember)
        inbound = self._inbound(step)
        if self._table and not step.get("forgotten"):
            found = ((call_id, self._table.get(call_id)) for call_id in wanted(inbound.request()))
            inbound.records = {call_id: record for call_id, record in found if record is not None}
        return FACTORY.convert(inbound, upstream, target)

    def _refusal(self, step: Step) -> str:
        try:
            self._convert(step)
        except MalformedMessage as error:
            info = ErrorInfo(kind="invalid", message=str(error), param=error.path or None)
        except (Unrepresentable, ClientError) as error:
            info = error.info
        else:
            raise AssertionError("it was not refused")
        return self._told(step["client"], info)

    def _told(self, client: str, info: ErrorInfo) -> str:
        answer = CONVERTERS[client].encode_error(info)
        headers = {name: value for name, value in answer.headers if name.startswith(("retry", "x-should"))}
        body = json.loads(answer.body)
        return json.dumps({"status": answer.status, "headers": headers, "body": body}, indent=1) + "\n"

    def _error(self, step: Step) -> str:
        raw = json.loads((self.folder / step["in"]).read_text())
        headers = tuple((name, value) for name, value in raw.get("headers", {}).items())
        response = WireResponse(status=raw["status"], body=json.dumps(raw["body"]).encode(), headers=headers)
        info = CONVERTERS[step["upstream"]].decode_error(response)
        return self._told(step["client"], classify(info).info if step.get("last") else info)

    def _streamed(self, step: Step) -> tuple[str, list[str]]:
        conversion = self._conversions[step["of"]]
        asked = len(conversion.losses)
        stream = conversion.stream()
        assert not isinstance(stream, FoldingStream)
        frames = CONVERTERS[step["upstream"]].frames("text/event-stream")
        out = b"".join(stream.feed(frame) for frame in frames.feed(self._read(step))) + stream.close()
        if stream.failure is not None:
            out += stream.fail(stream.failure)
        assert stream.ended != (stream.failure is not None)
        return self._hide(out.decode()).replace("\r\n", "\n"), entries(conversion.losses[asked:])


def main() -> None:
    """Write every step's output and losses."""
    for folder in sorted(GOLDEN.iterdir()):
        case = Case(folder)
        for step in case.steps:
            text, losses = case.run(step)
            (folder / step["out"]).write_text(text, encoding="utf-8")
            if losses is not None:
                step["losses"] = losses
        (folder / "steps.json").write_text(json.dumps(case.steps, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
