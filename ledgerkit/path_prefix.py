"""The path prefix of the site for addresses that are written in a thread of no request."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.urls import get_script_prefix, set_script_prefix


@contextmanager
def path_prefix(prefix: str | None = None) -> Iterator[None]:
    """Let reverse() add the prefix, by default FORCE_SCRIPT_NAME. Django sets it in the thread that starts the process
    and in those of requests."""
    before = get_script_prefix()
    set_script_prefix(prefix or settings.FORCE_SCRIPT_NAME or "/")
    try:
        yield
    finally:
        set_script_prefix(before)
