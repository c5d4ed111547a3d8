"""System user that runs the embedded server: the current one; for root a separate account, because PostgreSQL refuses
to run as root."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

from local_postgres.exceptions import EmbeddedServerError

NAME = "embedded_postgres"
logger = logging.getLogger(__name__)


def is_needed() -> bool:
    return os.geteuid() == 0


def uid() -> int:
    return _entry().pw_uid if is_needed() else os.geteuid()


def run_as() -> dict[str, Any]:
    """Return the arguments with which subprocess runs a program of the server as its user."""
    if not is_needed():
        return {}
    entry = _entry()
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give_to_system_user(path: Path) -> None:
    if is_needed():
        entry = _entry()
        os.chown(path, entry.pw_uid, entry.pw_gid)


def grant_traversal(path: Path) -> None:
    """Let the account traverse the folders above `path`. It cannot list them, and the modes of files do not change."""
    for folder in path.parents if is_needed() else ():
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.warning("Letting the account %s pass through %s (chmod o+x).", NAME, folder)
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _entry() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return _make()


def _make() -> pwd.struct_passwd:
    try:
        command = [_useradd(), "--system", "--shell", "/bin/false", NAME]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # fixed arguments, no shell
    except (OSError, subprocess.CalledProcessError) as exc:
        if not _exists():  # another process may have created it meanwhile
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and useradd could not make the account {NAME} for it ({exc}). "
                f"Make a system account {NAME}, or work as an ordinary user."
            ) from exc
    return pwd.getpwnam(NAME)


def _useradd() -> str:
    """Return the path of useradd, also if the PATH lacks the folders for administrators."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
    return shutil.which("useradd", path=path) or "useradd"


def _exists() -> bool:
    return any(entry.pw_name == NAME for entry in pwd.getpwall())
