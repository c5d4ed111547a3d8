"""Path of the embedded server's socket: known before the server runs, so that settings can name it."""

import hashlib
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST = 100  # a unix socket's path ends at 104 bytes on macOS, at 108 on Linux


def socket_dir(data_dir: Path) -> Path:
    """The data folder, which is closed to others; where its path will not do, a short folder named after it."""
    path = bytes(data_dir / SOCKET_NAME)
    if len(path) <= LONGEST and b"," not in path:  # libpq takes a comma for the end of a host's name
        return data_dir
    # Not tempfile.gettempdir(): two processes with two TMPDIRs must agree.
    return Path("/tmp") / f"pastetrader-{hashlib.sha256(bytes(data_dir)).hexdigest()[:16]}"  # noqa: S108  # paths of sockets are at most 107 bytes; the folder's owner and mode are checked
