"""Collection of static files, only if one of them has changed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

UNUSED = ["redoc"]  # part of the package that contains Swagger UI; compressing it takes seconds


def collect_if_changed() -> bool:
    stamp = settings.LOCAL_DIR / "static.stamp"
    now = _fingerprint()
    if stamp.exists() and stamp.read_text() == now and Path(settings.STATIC_ROOT).is_dir():
        return False
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=UNUSED)
    stamp.write_text(now)
    return True


def _fingerprint() -> str:
    lines = "\n".join(sorted(_file_versions()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _file_versions() -> Iterator[str]:
    yield django.__version__
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = Path(storage.path(path)).stat()
            yield f"{path} {found.st_size} {found.st_mtime_ns}"
