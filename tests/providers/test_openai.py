from __future__ import annotations

from aiclient2api.providers.credentials import Secret
from aiclient2api.providers.openai import OpenAISettings, build
from aiclient2api.wire.http import WireRequest


def test_organization_and_project_are_sent_when_configured() -> None:
    provider = build(OpenAISettings(api_key=Secret("sk-1"), organization="org-1", project="proj-1"))

    signed = provider.sign(WireRequest(path="/responses"), "openai_responses", provider.credentials)

    assert signed.headers == (
        ("openai-organization", "org-1"),
        ("openai-project", "proj-1"),
        ("authorization", "Bearer sk-1"),
    )


def test_models_have_openais_facts() -> None:
    assert build(OpenAISettings(api_key=Secret("sk-1"))).profile("o3", "openai_chat").sampling is False
