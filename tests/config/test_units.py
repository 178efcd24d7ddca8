from __future__ import annotations

import pytest

from aiclient2api.config.units import Duration, Size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        (" 2 s ", 2.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1B", 1), ("256KiB", 262_144), ("32MiB", 33_554_432), ("1GiB", 1_073_741_824)]
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize(
    "text", ["30", "30 parsecs", "", "s", "-1s", "1,5s", "30S", "9" * 400 + "h", "٣s", 30, None, True]
)
def test_a_duration_needs_a_number_and_a_unit(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration like 250ms, 30s or 5m, not"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["32", "32MB", "32mib", "9" * 400 + "GiB", 32])
def test_a_size_needs_a_number_and_a_unit(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size like 256KiB or 32MiB, not"):
        Size.parse(text)
