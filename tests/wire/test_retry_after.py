from __future__ import annotations

import pytest

from aiclient2api.wire.retry_after import FOR_EVER, retry_after

DATE = ("date", "Wed, 21 Oct 2026 07:28:00 GMT")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([("retry-after", "2")], 2.0),
        ([("retry-after", " 2.5 ")], 2.5),
        ([("retry-after", "9"), ("retry-after-ms", "1500")], 1.5),
        ([("retry-after", "9"), ("retry-after-ms", "soon")], 9.0),
        ([("retry-after", "1587827")], 1_587_827.0),
        ([("retry-after", "1" + "0" * 400)], FOR_EVER),
        ([("retry-after", "-1")], None),
        ([("retry-after", "inf")], None),
        ([("retry-after", "nan")], None),
        ([("retry-after", "1e9")], None),
        ([("retry-after", "٣")], None),
        ([("retry-after", "")], None),
        ([("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"), DATE], 30.0),
        ([("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT"), DATE], 0.0),
        ([("retry-after", "Wednesday, 21-Oct-26 07:28:30 GMT"), DATE], 30.0),
        ([("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT")], None),
        ([("retry-after", "Wed, 99 Oct 2026 07:28:30 GMT"), DATE], None),
        ([("retry-after", "tomorrow"), DATE], None),
    ],
)
def test_a_wait_is_read_in_every_form_and_nonsense_is_none(
    headers: list[tuple[str, str]], seconds: float | None
) -> None:
    assert retry_after(tuple(headers)) == seconds
