"""Secret key of a machine without a configured one: generated once and stored in a file that only its owner can
read."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.core.management.utils import get_random_secret_key


def read_or_make(path: Path) -> str:
    if not path.exists():
        _make(path)
    return path.read_text().strip()


def _make(path: Path) -> None:
    """Make the key. If two processes make it at once, the first link wins and both read the same whole key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=".secret_key-") as draft:  # created with mode 0600
        draft.write(get_random_secret_key())
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)
