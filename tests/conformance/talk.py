"""One conversation of the matrix: every turn is compared with what the upstream was asked and what it sent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple, cast

import httpx2

from aiclient2api.simulator.app import ReceivedRequest, Simulator
from tests.conformance.clients import Image, Sdks, session
from tests.conformance.expectations import ID_PREFIX, Cell, counts, finish, usage_for
from tests.conformance.native_answers import read_answer
from tests.conformance.native_requests import read_request
from tests.conformance.neutral import Answer, Item, Request, Result, Wishes, read_json, write_json
from tests.conformance.tape import Recorded, repeat
from tests.harness import Sections, Stack

MODELS = {
    "openai_chat": "chat/gpt-simulated",
    "openai_responses": "responses/gpt-simulated",
    "anthropic": "claude/claude-simulated",
    "gemini": "gemini/gemini-3-simulated",
}
_TEXT_ARGUMENTS = ("openai_chat", "openai_responses")


def pools(url: str) -> Sections:
    """One pool for each upstream protocol; `unsigned` is a chat server that never reads reasoning."""
    chat = {"provider": "openai_compatible", "base_url": f"{url}/v1", "api_key": "upstream-chat"}
    responses = {"provider": "openai", "base_url": f"{url}/v1", "api_key": "upstream-responses"}
    return {
        "accounts": {
            "chat": {**chat, "pool": "chat", "reasoning_content": True},
            "unsigned": {**chat, "pool": "unsigned"},
            "responses": {**responses, "pool": "responses", "protocol": "openai_responses"},
            "claude": {
                "provider": "anthropic_compatible", "base_url": url, "api_key": "upstream-claude", "pool": "claude",
            },
            "gemini": {
                "provider": "gemini_compatible", "base_url": url, "api_key": "upstream-gemini", "pool": "gemini",
            },
        }
    }  # fmt: skip


class Bench(NamedTuple):
    """A gateway, the simulator behind it, and SDKs in front of it."""

    stack: Stack
    simulator: Simulator
    sdks: Sdks
    http: httpx2.Client


class Turn(NamedTuple):
    """One turn from all sides."""

    shown: Answer
    """By the SDK."""
    sent: Answer
    """By the upstream."""
    asked: Request
    """Of the upstream."""
    recorded: Recorded
    """What the gateway answered."""
    received: ReceivedRequest
    """What the upstream was asked, as it came."""

    @property
    def calls(self) -> list[Item]:
        """The calls as the SDK shows them."""
        return self.shown.of("call")

    @property
    def report(self) -> str:
        """What the gateway says about the conversion."""
        return self.recorded.headers["x-a2-conversion"]

    @property
    def lost(self) -> dict[str, set[str]]:
        """The report by act: `{"dropped": {"stop"}}`."""
        entries = [entry.partition("=") for entry in self.report.split("; ")[1:]]
        return {act: set(features.split(",")) for act, _, features in entries}


class Talk:
    """Talks, and checks what holds for every turn of every cell."""

    def __init__(
        self, bench: Bench, cell: Cell, wishes: Wishes, *, model: str = "", keeps_thoughts: bool = True
    ) -> None:
        self.cell = cell
        # a relayed history holds whatever the client sent back
        self._keeps_thoughts = keeps_thoughts or cell.client == cell.upstream
        self.wishes = wishes
        self._bench = bench
        self._model = model or MODELS[cell.upstream]
        self._session = session(cell.client, bench.sdks, self._model, wishes)
        self._history: list[Item] = []
        self.turns: list[Turn] = []
        bench.simulator.requests.clear()
        bench.sdks.tape.answers.clear()

    @property
    def lost(self) -> set[tuple[str, str]]:
        """What was dropped or approximated in any turn."""
        acts = ("dropped", "approximated")
        return {(act, one) for turn in self.turns for act in acts for one in turn.lost.get(act, ())}

    def user(self, text: str, image: Image | None = None) -> None:
        """The user says something."""
        self._session.user(text, image)
        self._history.append(Item("user", "text", text))
        if image is not None:
            self._history.append(Item("user", "image", media_type=image[0], data=image[1]))

    def results(self, *results: Result) -> None:
        """The caller's functions have answered."""
        self._session.results(results)
        for call, value in results:
            text = value if isinstance(value, str) else write_json(value)
            self._history.append(Item("user", "result", text, id=call.id, name=call.name))

    def ask(self) -> Turn:
        """One turn."""
        shown = self._session.ask(stream=self.cell.stream)
        (received,) = self._bench.simulator.requests
        asked = read_request(self.cell.upstream, received.path, received.query, received.body)
        sent = read_answer(
            self.cell.upstream, repeat(self._bench.http, self._bench.stack.upstream_url, received)
        )
        self._bench.simulator.requests.clear()
        turn = Turn(shown, sent, asked, self._bench.sdks.tape.answers[-1], received)
        self._check_request(asked)
        self._check_answer(turn)
        self._history += [item for item in sent.items if self._keeps_thoughts or item.kind != "thought"]
        self.turns.append(turn)
        return turn

    # ---- what the upstream was asked

    def _check_request(self, asked: Request) -> None:
        wishes = self.wishes
        assert asked.model == self._model.partition("/")[2]
        assert asked.stream == (self.cell.stream or self.cell.client != self.cell.upstream)
        assert asked.system == ((wishes.system,) if wishes.system is not None else ())
        assert asked.tools == {tool.name: tool.schema for tool in wishes.tools}
        assert asked.schema == wishes.schema
        if wishes.max_tokens is not None:
            assert asked.max_tokens == wishes.max_tokens
        is_dropped = self.cell.upstream == "openai_responses"
        assert asked.stops == ((wishes.stop,) if wishes.stop is not None and not is_dropped else ())
        assert self._comparable(asked.items) == self._comparable(self._history)

    def _comparable(self, items: Sequence[Item]) -> list[Item]:
        """Arguments by their value where the client's SDK has no text; thoughts without a proof may stay behind."""
        out: list[Item] = []
        for item in items:
            if item.kind == "thought" and self.cell.upstream == "gemini":
                continue
            if item.kind == "call" and self.cell.client not in _TEXT_ARGUMENTS:
                item = item._replace(text=_value(item.text))
            if item.kind == "result":
                item = item._replace(text=_value(item.text))
            out.append(item)
        return out

    # ---- what the client was told

    def _check_answer(self, turn: Turn) -> None:
        shown, sent = turn.shown, turn.sent
        client, upstream = self.cell.client, self.cell.upstream
        wire = read_answer(client, turn.recorded.body)
        assert turn.recorded.status == 200
        assert turn.recorded.headers["x-a2-attempts"] == "1"
        assert turn.recorded.headers["x-a2-target"] == self._model
        assert (shown.text, shown.reasoning) == (sent.text, sent.reasoning)
        assert (wire.text, wire.reasoning) == (sent.text, sent.reasoning)
        assert [call[2:5] for call in wire.of("call")] == [call[2:5] for call in sent.of("call")]
        assert [(call.id, call.name, _value(call.text)) for call in shown.of("call")] == [
            (call.id, call.name, _value(call.text)) for call in sent.of("call")
        ]
        if client in _TEXT_ARGUMENTS:
            assert [call.text for call in shown.of("call")] == [call.text for call in sent.of("call")]
        assert shown.finish == finish(client, upstream, sent.finish, has_calls=bool(sent.of("call")))
        assert shown.stop_sequence == (sent.stop_sequence if client == "anthropic" else None)
        assert shown.usage == usage_for(client, counts(upstream, sent.usage))
        assert shown.id == wire.id
        assert len(shown.id) > len(ID_PREFIX[client])
        assert shown.id.startswith(ID_PREFIX[client])
        if client == upstream:
            assert (shown.id, shown.usage, shown.finish) == (sent.id, sent.usage, sent.finish)


def _value(text: str) -> str:
    """The same text for the same JSON value: SDKs that hand out values write `1.5` for `1.50`."""
    try:
        return repr(_plain(read_json(text)))
    except ValueError:
        return text


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        members = cast("dict[str, Any]", tree)
        return {name: _plain(members[name]) for name in sorted(members)}
    if isinstance(tree, list):
        return [_plain(one) for one in cast("list[Any]", tree)]
    return (
        Decimal(tree).normalize() if isinstance(tree, int | Decimal) and not isinstance(tree, bool) else tree
    )
