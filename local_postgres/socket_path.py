"""Path of the embedded server's socket, which settings need before the server runs."""

import hashlib
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
MAX_PATH_BYTES = 100  # bytes; the path of a unix socket may have 104 on macOS, 108 on Linux


def socket_dir(data_dir: Path) -> Path:
    """Return the data folder, which only its owner can read; if its path is too long, a short folder named after it."""
    path = bytes(data_dir / SOCKET_NAME)
    if len(path) <= MAX_PATH_BYTES and b"," not in path:  # libpq splits a host at commas
        return data_dir
    # Not tempfile.gettempdir(): processes with different TMPDIR must use the same path.
    return Path("/tmp") / f"pastetrader-{hashlib.sha256(bytes(data_dir)).hexdigest()[:16]}"  # noqa: S108  # paths of sockets are at most 107 bytes; the folder's owner and mode are checked
