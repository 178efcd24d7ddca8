from __future__ import annotations

import pytest

from aiclient2api.ir.parts import Inline, Url
from aiclient2api.protocols import data_url


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("data:image/png;base64,iVBORw0=", Inline("image/png", "iVBORw0=")),
        ("data:text/plain;charset=utf-8;base64,SGk=", Inline("text/plain", "SGk=")),
        ("data:;base64,SGk=", Inline("application/octet-stream", "SGk=")),
        ("data:image/png;base64,", Inline("image/png", "")),
        ("data:image/png;base64,a,b", Inline("image/png", "a,b")),
        ("data:text/plain,Hello", Url("data:text/plain,Hello")),
        ("data:image/png;base64", Url("data:image/png;base64")),
        ("https://example.com/a.png", Url("https://example.com/a.png")),
        ("", Url("")),
    ],
)
def test_only_base64_data_becomes_inline(url: str, source: Inline | Url) -> None:
    assert data_url.parse(url) == source


def test_the_media_type_of_bare_data_can_be_given() -> None:
    assert data_url.parse("data:;base64,SGk=", "image/jpeg") == Inline("image/jpeg", "SGk=")


def test_inline_data_makes_the_url_it_came_from() -> None:
    url = "data:image/png;base64,iVBORw0="
    source = data_url.parse(url)
    assert isinstance(source, Inline)

    assert data_url.build(source) == url
