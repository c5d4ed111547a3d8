"""Start a module in a process whose clock is moved, and with it that of the PostgreSQL that it starts:
`python -m benches.moved_clock benches.year_of_use --runs 10`.

libfaketime (the package faketime of Debian) adds an offset to the time, which it reads in a file for each call, so that
all processes have the same time. What measures a duration is not moved. The module finds a ledger of its own, empty,
which is removed at the end.
"""

import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OFFSET = "FAKETIME_TIMESTAMP_FILE"
LIBRARIES = "usr/lib/*/faketime/libfaketimeMT.so.1"


class Clock:
    """The clock of this process and of those that it starts."""

    def __init__(self) -> None:
        if OFFSET not in os.environ:
            raise SystemExit(f"start it with: python -m {__spec__.name} MODULE")
        self.file, self.seconds = Path(os.environ[OFFSET]), 0
        time.sleep = _sleep  # type: ignore[assignment]  # no caller passes a SupportsIndex

    def move(self, seconds: int) -> None:
        self.seconds += seconds
        new = self.file.with_suffix(".new")
        new.write_text(f"+{self.seconds}")
        new.replace(self.file)  # no reader finds a part of it


def _sleep(seconds: float) -> None:
    """Sleep for a time: Python's function sleeps until a time, which libfaketime takes for a moved one."""
    select.select([], [], [], seconds)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process that has a ledger in the folder, and a clock that can be moved."""
    library = next(Path("/").glob(LIBRARIES), None)
    if library is None:
        raise SystemExit("libfaketime is not installed: apt-get install faketime")
    offset = folder / "offset"
    offset.write_text("+0")
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return kept | {
        "LD_PRELOAD": str(library), OFFSET: str(offset), "FAKETIME_NO_CACHE": "1", "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PASTETRADER_LOCAL": str(folder / "ledger"),
        "EXECUTIONS_ARCHIVE": str(folder / "archive"),
    }  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL runs as another user
        command = [sys.executable, "-m", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, env=environment(folder), check=False).returncode)  # noqa: S603  # our own module


if __name__ == "__main__":
    main()
