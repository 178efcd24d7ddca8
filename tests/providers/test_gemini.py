from __future__ import annotations

from aiclient2api.providers.credentials import Secret
from aiclient2api.providers.gemini import GeminiSettings, build


def test_models_have_googles_facts() -> None:
    provider = build(GeminiSettings(api_key=Secret("k")))

    assert provider.profile("gemini-2.5-flash", "gemini").call_ids is False


def test_a_model_name_with_a_slash_stays_in_the_path() -> None:
    provider = build(GeminiSettings(api_key=Secret("k"), base_url="https://example.org/"))

    url = provider.url("gemini", "/v1/models/vendor/model:generateContent")

    assert url == "https://example.org/v1/models/vendor/model:generateContent"
