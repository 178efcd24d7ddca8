from __future__ import annotations

import gzip
import zlib

import pytest

from aiclient2api.errors import Malformed, Truncated
from aiclient2api.net.inflate import FREE, Inflater, inflater

TEXT = b'data: {"text":"hello"}\n\n' * 2000


def decoded(coding: str, data: bytes, step: int = 0) -> bytes:
    decoder = Inflater(coding)
    out: list[bytes] = []
    for start in range(0, len(data), step or len(data)):
        out.append(decoder.decode(data[start : start + (step or len(data))]))
        while decoder.pending and (more := decoder.decode(b"")):
            out.append(more)
    decoder.close()
    return b"".join(out)


@pytest.mark.parametrize("step", [1, 100, 0])
@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),
    ],
    ids=["gzip", "two members", "zlib", "raw deflate"],
)
def test_what_was_compressed_comes_back(coding: str, data: bytes, step: int) -> None:
    assert decoded(coding, data, step) == TEXT


def test_a_bomb_is_stopped_early() -> None:
    bomb = gzip.compress(b"\0" * 400_000_000, compresslevel=1)[: 2 * 1024 * 1024]
    decoder = Inflater("gzip")
    given = 0

    with pytest.raises(Malformed):
        for start in range(0, len(bomb), 1000):
            given += len(decoder.decode(bomb[start : start + 1000]))
            while decoder.pending and (more := decoder.decode(b"")):
                given += len(more)

    assert given < 100 * FREE


def test_a_cut_body_is_not_whole() -> None:
    with pytest.raises(Truncated):
        decoded("gzip", gzip.compress(TEXT)[:-10])


def test_what_is_not_compressed_is_malformed() -> None:
    with pytest.raises(Malformed):
        decoded("gzip", TEXT)


@pytest.mark.parametrize(
    ("headers", "needed"),
    [
        ((), False),
        ((("content-encoding", "identity"),), False),
        ((("content-encoding", "GZIP"),), True),
    ],
)
def test_an_inflater_is_made_where_it_is_needed(headers: tuple[tuple[str, str], ...], needed: bool) -> None:
    assert (inflater(headers) is not None) is needed


def test_an_unknown_encoding_is_malformed() -> None:
    with pytest.raises(Malformed):
        inflater((("content-encoding", "br"),))
