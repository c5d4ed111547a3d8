"""The place of the archive: a folder of this machine, or one of another system by fsspec. A file gets its name when it
is complete. No file takes the place of another one: its name is reserved first."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from executions.conf import executions_settings

from .exceptions import ArchiveError

UNWRITABLE = _("The archive {folder} cannot be written: {error}.")
UNREADABLE = _("{name}: it cannot be read: {error}.")
NO_FSSPEC = _("The archive {folder} needs the package fsspec: install pastetrader-executions[archive].")
NO_FOLDER = _("The archive {folder} is not there, and the database has recorded files in it. Is its disk mounted?")
TAKEN = "another ledger has written {name}"
ABANDONED = 86_400  # seconds after which an incomplete file that nobody writes is removed
UNSET = _("EXECUTIONS['ARCHIVE'] is not set: there is no archive.")


class Folder(Protocol):
    def __str__(self) -> str: ...

    def reserve(self, name: str) -> bool:
        """Reserve the name of a new file, which write() writes next. Return whether it was free."""
        ...

    def write(self, name: str) -> Any:
        """Return a context manager of a binary stream. The file has its name when the block ends without an error."""

    def open(self, name: str) -> BinaryIO: ...

    def names(self) -> list[str]: ...

    def exists(self) -> bool:
        """Return whether the folder is there. Where folders are no things of their own, it always is."""
        ...


class LocalFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def reserve(self, name: str) -> bool:
        """Reserve the name by its incomplete file, which one process alone can create."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        part = self._part(name)
        try:
            part.open("xb").close()
        except FileExistsError:
            return False
        if (self.path / name).exists():
            part.unlink()
            return False
        return True

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        part = self._part(name)
        try:
            with part.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self.path / name)
        finally:
            part.unlink(missing_ok=True)  # the disk may be full
        _sync(self.path)

    def open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def exists(self) -> bool:
        return self.path.exists()

    def names(self) -> list[str]:
        if not self.path.is_dir():
            return []
        return sorted(each.name for each in self.path.iterdir() if not each.name.startswith("."))

    def _part(self, name: str) -> Path:
        return self.path / f".{name}.part"

    def _remove_abandoned(self) -> None:
        for part in self.path.glob(".*.part"):
            with suppress(FileNotFoundError):  # its writer has just completed it
                if time.time() - part.stat().st_mtime > ABANDONED:
                    part.unlink()


class RemoteFolder:
    """A folder of any system that fsspec can write."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415  # optional: a plain folder works without it

            self.files, self.path = url_to_fs(url)
        except (ImportError, ValueError) as error:  # fsspec raises ValueError for a protocol that it does not know
            missing = format_lazy(UNWRITABLE, folder=url, error=error) if "fsspec" not in str(error) else None
            raise ArchiveError(missing or format_lazy(NO_FSSPEC, folder=url)) from error

    def __str__(self) -> str:
        return self.url

    def reserve(self, name: str) -> bool:
        """Return whether the name is free: most systems have no exclusive creation, so write() looks again."""
        return not self._has(name)

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        self.files.makedirs(self.path, exist_ok=True)
        with self.files.transaction, self.files.open(self._place(name), "wb") as stream:
            is_shown = self._has(name)  # by systems that show a file from its first byte on
            yield stream
            if not is_shown and self._has(name):
                raise FileExistsError(TAKEN.format(name=name))

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self.files.open(self._place(name), "rb"))

    def exists(self) -> bool:
        return True

    def names(self) -> list[str]:
        if not self.files.exists(self.path):
            return []
        return sorted(str(each).rsplit("/", 1)[-1] for each in self.files.ls(self.path, detail=False, refresh=True))

    def _has(self, name: str) -> bool:
        self.files.invalidate_cache()
        return bool(self.files.exists(self._place(name)))

    def _place(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"


def configured_folder() -> Folder | None:
    """Return the folder of EXECUTIONS["ARCHIVE"], None if nothing is archived."""
    place = executions_settings.ARCHIVE
    return at(place) if place else None


def require_folder() -> Folder:
    """Return the folder. Raises ArchiveError if there is none."""
    if (folder := configured_folder()) is None:
        raise ArchiveError(UNSET)
    return folder


def at(place: str) -> Folder:
    """Return the folder of a path or of a URL."""
    if place.startswith("file://"):
        return LocalFolder(Path(unquote(urlsplit(place).path)))
    return RemoteFolder(place) if "://" in place else LocalFolder(Path(place))


def of_file(name: str) -> Folder:
    """Return the folder of a file that is named by its path, or by its name in the archive. Raises ArchiveError."""
    if "://" in name:
        return at(name.rpartition("/")[0])
    path = Path(name)
    return LocalFolder(path.parent) if path.is_file() or len(path.parts) > 1 else require_folder()


@contextmanager
def errors_of_writing(folder: Folder) -> Iterator[None]:
    """Raise ArchiveError in place of an OSError."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(format_lazy(UNWRITABLE, folder=str(folder), error=error.strerror or str(error))) from error


def _sync(path: Path) -> None:
    """Write the names in the folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
