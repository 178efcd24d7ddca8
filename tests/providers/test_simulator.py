from __future__ import annotations

from aiclient2api.providers.simulator import SimulatorSettings, build
from aiclient2api.wire.http import WireRequest


def test_the_simulator_speaks_all_four_protocols_and_takes_any_key() -> None:
    provider = build(SimulatorSettings(base_url="http://127.0.0.1:9"))

    signed = provider.sign(WireRequest(path="/chat/completions"), "openai_chat", provider.credentials)

    assert provider.protocols == ("openai_chat", "openai_responses", "anthropic", "gemini")
    assert signed.headers == (("authorization", "Bearer simulator"),)


def test_the_simulator_takes_everything() -> None:
    profile = build(SimulatorSettings(base_url="http://127.0.0.1:9")).profile("any", "openai_chat")

    assert (profile.mid_system, profile.prefill, profile.reasoning_content) == (True, True, True)
