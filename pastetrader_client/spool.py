"""Keep facts in files while the ledger cannot be reached, and for the next process of the same name.

The folder has files of each process, of mode 0600 and locked while the process lives. A process takes over the files of
those that are gone. The name of a file begins with the time of its first fact: a run may be created in one file and
continued in another, by a forked process. Each line is a fact; a last line that was cut off is left out. What is
written survives the end of the process, not that of the machine.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from .encoding import Fact, of_body

if sys.platform != "win32":  # Windows has no lock that ends with its process, and so no spool
    import fcntl

logger = logging.getLogger("pastetrader_client")

FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
SUFFIX = ".facts"
FILES = 8  # full files of one process
RESERVE = 64  # one of so many bytes is reserved for the last write
DIGITS = 20  # digits of the time in a file's name, in nanoseconds


def folder(directory: str | Path | None, name: str, url: str) -> Path | None:
    """Return the folder of a client, below the given directory or the user's state directory; None without files."""
    if sys.platform == "win32":
        return None
    base = Path(directory) if directory else _state_directory()
    safe = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "client"
    return base / f"{safe}-{sha256(f'{name}\0{url}'.encode()).hexdigest()[:8]}"


def _state_directory() -> Path:
    given = os.environ.get("XDG_STATE_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".local" / "state") / "pastetrader"


class Spool:
    """The files of one client, oldest first: files of earlier processes, then its own. They have at most `max_bytes`.
    Sent facts are removed only with their file, so the process starts a new file after a part of `max_bytes`."""

    def __init__(self, directory: Path | None, max_bytes: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self.files: list[SpoolFile] = []
        self.own: SpoolFile | None = None
        self.has_failed = False
        self.last = 0  # time of the newest file of this process

    def __bool__(self) -> bool:
        return bool(self.files)

    def has_leftovers(self) -> bool:
        return self.directory is not None and any(self.directory.glob(f"*{SUFFIX}"))

    def take_over(self) -> None:
        """Lock the files of processes that have ended."""
        if self.directory is None or not self.directory.is_dir():
            return
        try:
            paths = sorted(self.directory.glob(f"*{SUFFIX}"), key=_began)
        except OSError as error:
            logger.warning("what earlier processes left cannot be read: %s", error)
            return
        self.files += [file for path in paths if (file := SpoolFile.of_another(path)) is not None]

    def write(self, facts: Sequence[Fact], *, is_last: bool = False) -> bool:
        """Append facts. Return whether there was room; the last write, at the end of the process, has reserved room. An
        error is logged once."""
        if not facts:
            return True
        size = sum(len(fact.body) + 1 for fact in facts)
        most = self.max_bytes if is_last else self.max_bytes - self.max_bytes // RESERVE
        if self.directory is None or self.size + size > most:
            return False
        try:
            self._write(self.directory, facts)
        except OSError as error:
            if not self.has_failed:
                logger.error("facts cannot be kept in a file: %s", error)
            self.has_failed = True
            return False
        return True

    def write_last(self, facts: Sequence[Fact]) -> int:
        """Write as many facts as fit, at the end of the process. Return the number of facts that did not fit."""
        return sum(not self.write([fact], is_last=True) for fact in facts)

    def _write(self, directory: Path, facts: Sequence[Fact]) -> None:
        if self.own is None or self.own.size >= self.max_bytes // FILES:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.last = max(self.last + 1, _time_of(facts[0]))
            self.own = SpoolFile.new(directory, self.last)
            self.files.append(self.own)
        self.own.write(facts)

    def write_sent(self, facts: Sequence[Fact]) -> bool:
        """Write facts that are being sent to empty files, as if read() had returned them."""
        if self.files or not self.write(facts):
            return False
        self.files[0].next = self.files[0].size
        return True

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def read(self, count: int, size: int) -> list[Fact]:
        """Return the oldest facts. They stay in the files until advance()."""
        while self.files:
            if facts := self.files[0].read(count, size):
                return facts
            self._remove_first()
        return []

    def advance(self) -> None:
        """Forget the facts that read() returned."""
        if self.files:
            self.files[0].advance()
            if self.files[0].offset >= self.files[0].size:
                self._remove_first()

    def _remove_first(self) -> None:
        file = self.files.pop(0)
        if file is self.own:
            self.own = None
        file.remove()

    def leave(self) -> None:
        """Close the files, so that another process may take them over."""
        for file in self.files:
            file.close()
        self.files, self.own = [], None


class SpoolFile:
    """An open and locked file. `offset` is the position of the first unsent fact."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.size = os.fstat(file.fileno()).st_size
        self.offset = self.next = 0

    @classmethod
    def new(cls, directory: Path, began: int) -> "SpoolFile":
        path = directory / f"{began:0{DIGITS}}-{os.getpid()}-{os.urandom(6).hex()}{SUFFIX}"
        found = cls._open(path, os.O_CREAT | os.O_EXCL)
        if found is None:
            raise FileExistsError(path)
        return found

    @classmethod
    def of_another(cls, path: Path) -> "SpoolFile | None":
        """Open the file of another process. Return None if that process lives, the file is gone, or it belongs to
        another user."""
        try:
            found = cls._open(path, 0)
        except OSError:
            return None
        if found is None or os.fstat(found.file.fileno()).st_nlink == 0:
            return None
        found.end_last_line()
        return found

    @classmethod
    def _open(cls, path: Path, more: int) -> "SpoolFile | None":
        descriptor = os.open(path, FLAGS | more, 0o600)
        file = FileIO(descriptor, "r+")  # os.fdopen() imports a module, which fails while the interpreter ends
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        if os.fstat(descriptor).st_uid != os.geteuid():
            file.close()
            return None
        return cls(path, file)

    def write(self, facts: Sequence[Fact]) -> None:
        """Append lines. A failed write leaves nothing in the file."""
        data = b"".join(fact.body + b"\n" for fact in facts)
        try:
            view = memoryview(data)
            while view:
                view = view[self.file.write(view) :]
        except OSError:
            self.file.truncate(self.size)
            raise
        self.size += len(data)

    def end_last_line(self) -> None:
        """Cut off a last line that a killed process has not finished."""
        self.file.seek(max(0, self.size - (1 << 22)))
        self.size = self.file.tell() + self.file.read().rfind(b"\n") + 1
        self.file.truncate(self.size)

    def read(self, count: int, size: int) -> list[Fact]:
        facts: list[Fact] = []
        self.file.seek(self.offset)
        self.next = self.offset
        with os.fdopen(os.dup(self.file.fileno()), "rb") as reader:
            while len(facts) < count and size > 0 and (line := reader.readline()).endswith(b"\n"):
                self.next += len(line)
                size -= len(line)
                if (fact := _fact(line)) is not None:
                    facts.append(fact)
        return facts

    def advance(self) -> None:
        self.offset = self.next

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.file.close()

    def close(self) -> None:
        self.file.close()


def _fact(line: bytes) -> Fact | None:
    """Return the fact of a line, None if the line is not a fact."""
    try:
        return of_body(json.loads(line), line.rstrip(b"\n"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _began(path: Path) -> int:
    """Return the time in the file's name. A file of an earlier version has none: return its time of modification."""
    began = path.name.partition("-")[0]
    if len(began) == DIGITS and began.isdecimal():
        return int(began)
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _time_of(fact: Fact) -> int:
    """Return the time of the fact, at most now."""
    now = time.time_ns()
    try:
        return max(0, min(now, int(datetime.fromisoformat(json.loads(fact.body)["at"]).timestamp() * 1e9)))
    except (ValueError, KeyError, TypeError, OverflowError):
        return now
