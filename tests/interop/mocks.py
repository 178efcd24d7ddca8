"""llmock by its own control interface."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.interop.conversations import Conversation


class Mock:
    """A running llmock."""

    def __init__(self, url: str, http: httpx2.Client) -> None:
        self.url = url
        self._http = http

    def reset(self) -> None:
        """Forget requests and behaviours."""
        self._http.post(f"{self.url}/_llmock/reset").raise_for_status()

    def script(self, *behaviors: dict[str, Any]) -> None:
        """Queue what happens next."""
        self._http.post(f"{self.url}/_llmock/scenario", json={"behaviors": behaviors}).raise_for_status()

    def play(self, conversation: Conversation) -> None:
        """Queue the answers of a conversation."""
        for step in conversation.steps:
            calls = [call._asdict() for call in step.calls]
            self.script({"type": "reply", "text": step.text or None, "tool_calls": calls})

    def requests(self) -> list[dict[str, Any]]:
        """Every request, in order of arrival."""
        return self._http.get(f"{self.url}/_llmock/requests").json()["requests"]

    def findings(self) -> list[str]:
        """What its verdict holds against us, warnings included."""
        verdict = self._http.get(f"{self.url}/_llmock/verdict").json()
        return [finding["code"] for finding in verdict["findings"]]
