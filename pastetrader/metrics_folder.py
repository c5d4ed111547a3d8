"""The folder in which the processes of `manage.py serve` count for Prometheus."""

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from local_postgres.lease import is_held

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "pastetrader-metrics-"
MEMORY = Path("/dev/shm")  # noqa: S108  # the folder in it is made for this server, with a name of its own
YOUNG = 60  # seconds, in which another server may not hold its folder yet


def make_folder() -> None:
    """Make a folder for this server, before prometheus_client is imported, and remove those of killed servers. In
    memory if possible: on a full disk, a write into a mapped file ends the process."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for lock in base.glob(f"{PREFIX}*/lock"):
        with suppress(OSError):  # of another user, or removed meanwhile
            if time.time() - lock.stat().st_mtime > YOUNG and not is_held(lock):
                shutil.rmtree(lock.parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    held = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)  # by the processes that are forked too
    fcntl.flock(held, fcntl.LOCK_SH)
    os.environ[VARIABLE] = str(folder)
    atexit.register(_remove_own, folder, os.getpid())


def _remove_own(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not at the end of one that was forked
        shutil.rmtree(folder, ignore_errors=True)
