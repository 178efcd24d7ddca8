"""Parts of a request's turns to content blocks for a real upstream."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Part,
    PartsSource,
    Reasoning,
    Refusal,
    Shape,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.protocols import ids
from aiclient2api.protocols.anthropic.blocks import (
    Block,
    cache_control,
    is_redacted,
    native_block,
    thinking_text,
    tool_id,
    tool_input,
    tool_use,
)
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.schema import IMAGE_TYPES, NAME, TOOL_ID
from aiclient2api.protocols.report import LossReport
from aiclient2api.protocols.stored_items import refuse_unreadable

_TTLS = {"30m": None, "12h": "1h"}
"""OpenAI's lifetimes to the nearest of ours (None is five minutes)."""

Content = str | list[Block]


class PartWriter:
    """Writes parts. `native`: the request came in this protocol, so nothing needs repair.

    `surplus` marks are left out, the earliest first: the provider takes four.
    """

    def __init__(self, report: LossReport, *, native: bool, surplus: int = 0) -> None:
        self.report = report
        self.native = native
        self._surplus = surplus
        self.betas: set[str] = set()
        """What the request needs to have named in `anthropic-beta`."""

    def write_all(self, parts: list[Part], path: str, role: str) -> list[Block]:
        """The blocks of a list of parts; what has no block is reported."""
        written = (self.write(part, f"{path}.parts[{index}]", role) for index, part in enumerate(parts))
        return [block for block in written if block is not None]

    def write(self, part: Part, path: str, role: str) -> Block | None:
        """One block, or None for a part that stays behind. Raises Unrepresentable."""
        self.report.foreign_ext(part, path)
        if part.opaque is not None and not isinstance(part, Reasoning):
            self.report.dropped("reasoning.opaque", path, part.opaque.kind)
        block: Block | None
        match part:
            case Text():
                block = self._text(part, path)
            case Reasoning():
                block = self._reasoning(part, path)
            case ToolCall():
                block = self._tool_call(part, path)
            case ToolResult():
                block = self._tool_result(part, path)
            case Media():
                block = self._media(part, path, role)
            case Refusal():
                self.report.approximated("refusal", path, "sent as text")
                block = {"type": "text", "text": part.text} if part.text else None
            case HostedCall() | Control() | Native():
                block = self._hosted(part, path)
        return block

    def marked(self, block: dict[str, object], mark: CacheMark | None, path: str) -> dict[str, object]:
        """`block` with its cache breakpoint."""
        if mark is None:
            return block
        self.report.foreign_ext(mark, path)
        if self._surplus > 0:
            self._surplus -= 1
            self.report.dropped("cache_mark", path, "only the last four breakpoints are sent")
            return block
        ttl = mark.ttl
        if ttl in _TTLS:
            ttl = _TTLS[ttl]
            self.report.approximated("cache_mark", path, f"{mark.ttl} sent as {ttl or '5m'}")
        return {**block, "cache_control": cache_control(mark, ttl)}

    def _finished(self, block: dict[str, object], part: Part, path: str) -> dict[str, object]:
        return {**self.marked(block, part.cache, path), **kept(part)}

    def _text(self, part: Text, path: str) -> Block | None:
        self.report.phase(part, path)
        if not part.text or not (self.native or part.text.strip()):
            # the provider refuses blocks without visible text
            if part.text:
                self.report.dropped("message.empty", path, "white space only")
            return None
        block: dict[str, object] = {"type": "text", "text": part.text}
        citations = [raw for item in part.citations if (raw := self._citation(item, path)) is not None]
        if citations or (self.native and part.shape & Shape.EMPTY_LIST):
            block["citations"] = citations
        return self._finished(block, part, path)

    def _citation(self, citation: Citation, path: str) -> Raw | None:
        if citation.protocol == NAME and citation.raw is not None:
            return citation.raw
        self.report.dropped("citation", path)
        return None

    def _reasoning(self, part: Reasoning, path: str) -> Block | None:
        """Only with the provider's own signature: an unsigned or foreign thinking block is answered with 400."""
        state = part.opaque
        if state is None or not state.kind.startswith("anthropic."):
            if state is not None:
                self.report.dropped("reasoning.opaque", path, state.kind)
            if part.summary or part.raw:
                self.report.dropped("reasoning.text", path)
            return None
        if is_redacted(part):
            return self._finished({"type": "redacted_thinking", "data": state.data}, part, path)
        block = {"type": "thinking", "thinking": thinking_text(part), "signature": state.data}
        return self._finished(dict[str, object](block), part, path)

    def _tool_call(self, part: ToolCall, path: str) -> Block:
        arguments, exact = tool_input(part)
        if not exact:
            self.report.emulated("tool_call.arguments", path, "not an object: sent as _raw")
        self.report.call_id(part.call_id, tool_id(part), path)
        return self._finished(tool_use(part, arguments), part, path)

    def _tool_result(self, part: ToolResult, path: str) -> Block:
        block: dict[str, object] = {
            "type": "tool_result",
            "tool_use_id": ids.legal(part.call_id, TOOL_ID),
        }
        content = self._result_content(part, path)
        if content is not None:
            block["content"] = content
        if part.is_error is not None:
            block["is_error"] = part.is_error
        return self._finished(block, part, path)

    def _result_content(self, part: ToolResult, path: str) -> Content | None:
        if part.shape & Shape.CONTENT_ABSENT and not part.parts:
            return None
        parts = part.parts
        if part.structured is not None and not any(isinstance(item, Text) for item in parts):
            self.report.approximated("tool_result.structured", path, "sent as JSON text")
            parts = [Text(text=bytes(part.structured).decode()), *parts]
        return self.content(
            parts, path, "tool", as_string=part.shape == Shape.CONTENT_STRING or not self.native
        )

    def content(self, parts: list[Part], path: str, role: str, *, as_string: bool) -> Content:
        """A string where that says everything and is wanted, else blocks."""
        if as_string and len(parts) == 1:
            only = parts[0]
            if isinstance(only, Text) and not (only.cache or only.citations or only.opaque or only.ext):
                return only.text
        if as_string and not parts:
            return ""
        return self.write_all(parts, path, role)

    def _hosted(self, part: HostedCall | Control | Native, path: str) -> Block | None:
        own = native_block(part)
        if own is not None:
            return own
        if isinstance(part, HostedCall):
            if part.shadow:
                self.report.emulated("tool.hosted", path, part.wire_type)
                return {"type": "text", "text": part.shadow}
            self.report.dropped("tool.hosted", path, part.wire_type)
            return None
        if isinstance(part, Control):
            refuse_unreadable(part, path)
            self.report.dropped(f"control.{part.kind}", path)
            return None
        raise Unrepresentable(
            f"Messages has no form for {part.wire_type or 'an unknown part'!r} of {part.protocol}", path
        )

    def _media(self, part: Media, path: str, role: str) -> Block:
        if role == "assistant" and not self.native:
            raise Unrepresentable(f"an assistant message of Messages cannot hold {part.kind} content", path)
        if part.detail not in (None, "auto"):
            self.report.dropped("media.detail", path)
        kind, source = self._source(part, path)
        block: dict[str, object] = {"type": kind, "source": source}
        title = part.title
        if part.filename is not None:
            if kind == "document" and title is None:
                title = part.filename
                self.report.approximated("media.filename", path, "sent as the title")
            else:
                self.report.dropped("media.filename", path)
        if kind == "document":
            own = {"title": title, "context": part.context}
            block.update((name, value) for name, value in own.items() if value is not None)
            if part.cite is not None:
                block["citations"] = {"enabled": part.cite}
        elif title is not None:
            self.report.dropped("media.title", path)
        return self._finished(block, part, path)

    def _source(self, part: Media, path: str) -> tuple[Literal["image", "document"], dict[str, object]]:
        if part.kind in ("audio", "video"):
            raise Unrepresentable(f"Messages takes no {part.kind} content", path)
        kind: Literal["image", "document"] = "image" if part.kind == "image" else "document"
        match part.source:
            case Inline(mime, data):
                return self._inline(kind, mime, data, path)
            case Url(url):
                if not (self.native or url.startswith(("https://", "http://"))):
                    raise Unrepresentable("Messages fetches only http and https addresses", path)
                return kind, {"type": "url", "url": url}
            case FileRef(ref, _, protocol):
                if protocol != NAME:
                    raise Unrepresentable(f"the file {ref!r} exists only at its own provider", path)
                return kind, {"type": "file", "file_id": ref}
            case TextSource(text, mime):
                return "document", {
                    "type": "text",
                    "media_type": mime if self.native else "text/plain",
                    "data": text,
                }
            case PartsSource(parts):
                string = bool(part.shape & Shape.CONTENT_STRING)
                return "document", {
                    "type": "content",
                    "content": self.content(parts, path, "user", as_string=string),
                }

    def _inline(
        self, kind: Literal["image", "document"], mime: str, data: str, path: str
    ) -> tuple[Literal["image", "document"], dict[str, object]]:
        if self.native or mime == "application/pdf" or mime in IMAGE_TYPES:
            shown = kind if self.native else ("image" if mime in IMAGE_TYPES else "document")
            return shown, {"type": "base64", "media_type": mime, "data": data}
        if mime.startswith("text/"):
            return "document", {"type": "text", "media_type": "text/plain", "data": _plain(data, path)}
        raise Unrepresentable(f"Messages takes no {mime} content", path)


def _plain(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unrepresentable("the text document is not base64 of UTF-8", path) from None
