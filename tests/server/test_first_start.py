"""What is kept from the first start on is nobody else's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from aiclient2api.server.first_start import KEY_FILE, SECRET_FILE, kept_client_key, kept_secret


@pytest.mark.parametrize(("found", "left"), [(0o644, 0o640), (0o666, 0o660), (0o660, 0o660), (0o600, 0o600)])
def test_files_that_a_copy_has_opened_to_everybody_are_closed(tmp_path: Path, found: int, left: int) -> None:
    secret = kept_secret(tmp_path)
    made, _ = kept_client_key(tmp_path, b"pepper")
    files = [tmp_path / SECRET_FILE, tmp_path / KEY_FILE]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    for file in files:
        file.chmod(found)

    assert kept_secret(tmp_path) == secret
    assert kept_client_key(tmp_path, b"pepper") == (made, None)

    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [left, left]
