"""One file of the archive and its manifest."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count as count_from
from typing import Any, BinaryIO, Self, cast
from uuid import UUID

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from . import compression
from .exceptions import ArchiveError
from .folders import UNREADABLE, Folder, errors_of_writing
from .row_format import FORMAT, LOG, RUN_ROW, Kind

ENDING = ".ndjson.zst"
MANIFEST = ".manifest.json"
BUFFER = 1_048_576
EPOCH = date(1970, 1, 1)
DAY = 86_400_000  # milliseconds, which the first 48 bits of an id count
ID = len(f'{{"kind":"log","run":"{UUID(int=0)}","id":"')  # where the id of a log line begins
NO_MANIFEST = _("{name}: there is no manifest beside it that can be read ({error}).")
NEWER_FORMAT = _("{name}: its format is {format}; this version reads formats up to {known}.")


@dataclass
class Manifest:
    """The content of a file. `log_days` are the days in the ids of log lines, which decide on their partitions."""

    name: str
    kind: str
    day: str
    format: int = FORMAT
    schema: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    log_days: list[str] = field(default_factory=list)
    sha256: str = ""
    bytes: int = 0
    created_at: str = ""

    @classmethod
    def read(cls, folder: Folder, name: str) -> Self:
        """Return the manifest of a file; members that are not known are ignored. Raises ArchiveError."""
        try:
            with folder.open(manifest_name(name)) as stream:
                document = json.load(stream)
            known = {key: document[key] for key in cls.__dataclass_fields__ if key in document}
            manifest = cls(**known)
            is_known = int(manifest.format) <= FORMAT
        except (OSError, ValueError, TypeError) as error:
            raise ArchiveError(format_lazy(NO_MANIFEST, name=name, error=error)) from error
        if not is_known:
            raise ArchiveError(format_lazy(NEWER_FORMAT, name=name, format=manifest.format, known=FORMAT))
        return manifest

    @property
    def run_count(self) -> int:
        return self.rows.get(RUN_ROW.name, 0)

    @property
    def row_count(self) -> int:
        return sum(self.rows.values())


class LineWriter:
    """Writer of lines to a file, which counts them."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.counts: Counter[str] = Counter()
        self.first = self.last = ""
        self.log_days: set[int] = set()  # since 1970

    def add(self, kind: Kind, line: str) -> None:
        self.counts[kind.name] += 1
        if kind is LOG:
            self.log_days.add(int(line[ID : ID + 8] + line[ID + 9 : ID + 13], 16) // DAY)
        self.stream.write(line.encode())
        self.stream.write(b"\n")

    def note_id(self, id: object) -> None:
        """Note the id of a run, or of a line in a file of lines."""
        self.first, self.last = self.first or str(id), str(id)


class HashingStream(io.RawIOBase):
    """A stream that counts and hashes what it passes on."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.hash, self.size = stream, sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += len(data)
        self.stream.write(data)
        return len(data)


def file_name(kind: str, day: date, number: int) -> str:
    return f"{kind}-{day:%Y-%m-%d}.{number:04}{ENDING}"


def file_number(name: str) -> int:
    """Return the number in the name of a file, or of a manifest."""
    number = name.split(".")[1] if "." in name else ""
    return int(number) if number.isdecimal() else 0


def manifest_name(name: str) -> str:
    return name.removesuffix(ENDING) + MANIFEST


@contextmanager
def writing(folder: Folder, manifest: Manifest) -> Iterator[LineWriter]:
    """Write the file of a manifest, and then the manifest, whose other members are filled in. The name is the one given
    or, if it is taken in the folder, the next one that is free. Raises ArchiveError."""
    with errors_of_writing(folder):
        manifest.name = _reserve(folder, manifest)
        with folder.write(manifest.name) as raw:
            hashing = HashingStream(raw)
            packed = compression.writer(cast("BinaryIO", hashing))
            with packed, io.BufferedWriter(cast("io.RawIOBase", packed), BUFFER) as buffered:
                writer = LineWriter(cast("BinaryIO", buffered))
                yield writer
        manifest.rows, manifest.first, manifest.last = dict(writer.counts), writer.first, writer.last
        manifest.log_days = [str(EPOCH + timedelta(days=day)) for day in sorted(writer.log_days)]
        manifest.sha256, manifest.bytes = hashing.hash.hexdigest(), hashing.size
        manifest.schema, manifest.created_at = _last_migration(), datetime.now(UTC).isoformat()
        with folder.write(manifest_name(manifest.name)) as stream:
            stream.write(json.dumps(asdict(manifest), indent=1).encode() + b"\n")


def _reserve(folder: Folder, manifest: Manifest) -> str:
    """Reserve a name that no file and no manifest has: one that is not recorded may be that of another ledger."""
    of_day = manifest.name.partition(".")[0] + "."
    there = (file_number(name) for name in folder.names() if name.startswith(of_day))
    first = max([file_number(manifest.name), *(number + 1 for number in there)])
    day = date.fromisoformat(manifest.day)
    names = (file_name(manifest.kind, day, number) for number in count_from(first))
    return next(name for name in names if folder.reserve(name))


def lines(folder: Folder, name: str) -> Iterator[bytes]:
    """Yield the lines of a file. Raises ArchiveError where it is damaged."""
    damages: tuple[type[Exception], ...] = (OSError, *compression.damages())
    try:
        with folder.open(name) as raw, compression.reader(raw) as stream:
            yield from io.BufferedReader(cast("io.RawIOBase", stream), BUFFER)
    except damages as error:
        raise ArchiveError(format_lazy(UNREADABLE, name=name, error=error)) from error


def digest(folder: Folder, name: str) -> tuple[str, int]:
    """Return the SHA-256 of a file and its size in bytes. Raises ArchiveError."""
    hashed, size = sha256(), 0
    try:
        with folder.open(name) as stream:
            while block := stream.read(BUFFER):
                hashed.update(block)
                size += len(block)
    except OSError as error:
        raise ArchiveError(format_lazy(UNREADABLE, name=name, error=error)) from error
    return hashed.hexdigest(), size


def _last_migration() -> str:
    applied = MigrationRecorder(connection).applied_migrations()
    return max((name for app, name in applied if app == LOG.model._meta.app_label), default="")
