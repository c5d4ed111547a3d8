"""The path prefix of the site (FORCE_SCRIPT_NAME) for addresses that are written outside of a request."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.urls import get_script_prefix, set_script_prefix


@contextmanager
def path_prefix() -> Iterator[None]:
    """Let reverse() add the prefix. Django sets it in the thread that starts the process and in those of requests."""
    before = get_script_prefix()
    set_script_prefix(settings.FORCE_SCRIPT_NAME or "/")
    try:
        yield
    finally:
        set_script_prefix(before)
