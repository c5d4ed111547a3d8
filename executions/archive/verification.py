"""Files of the archive compared with their manifests and with the database."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from executions.models import ArchiveFile

from . import files
from .exceptions import ArchiveError
from .files import ENDING, Manifest
from .folders import Folder

CHANGED = _("{name}: it is not the file that was written: its SHA-256 is {found}, not {expected}.")
NOT_JSON = _("{name}: line {number} is no row of an archive.")
COUNTED = _("{name}: it has {found} rows, and its manifest counts {expected}.")
RECORDED = _("{name}: the database has recorded another file of this name.")


def names(folder: Folder) -> list[str]:
    """Return the names of the files that are recorded or in the folder."""
    there = {name for name in folder.names() if name.endswith(ENDING)}
    return sorted(there.union(ArchiveFile.objects.values_list("name", flat=True)))


def has_manifest(folder: Folder, name: str) -> bool:
    """Return whether there is a manifest, which is written after the file."""
    return files.manifest_name(name) in folder.names()


def faults(folder: Folder, name: str) -> Iterator[object]:
    """Yield a sentence for each fault of a file."""
    try:
        yield from _faults(folder, name)
    except ArchiveError as error:
        yield error.sentence


def check_digest(folder: Folder, manifest: Manifest) -> None:
    """Raise ArchiveError unless the file is the one of its manifest."""
    found, size = files.digest(folder, manifest.name)
    if (found, size) != (manifest.sha256, manifest.bytes):
        raise ArchiveError(format_lazy(CHANGED, name=manifest.name, found=found, expected=manifest.sha256))


def _faults(folder: Folder, name: str) -> Iterator[object]:
    manifest = Manifest.read(folder, name)
    check_digest(folder, manifest)
    recorded = ArchiveFile.objects.filter(name=name).values_list("sha256", flat=True).first()
    if recorded not in {None, manifest.sha256}:
        yield format_lazy(RECORDED, name=name)
    counts = Counter(parse(name, number, text)["kind"] for number, text in enumerate(files.lines(folder, name), 1))
    if counts != manifest.rows:
        yield format_lazy(COUNTED, name=name, found=counts.total(), expected=manifest.row_count)


def parse(name: str, number: int, text: bytes) -> dict[str, Any]:
    """Return a line of a file. Raises ArchiveError if it is no row."""
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if not isinstance(row, dict) or "kind" not in row:
        raise ArchiveError(format_lazy(NOT_JSON, name=name, number=number))
    return row
