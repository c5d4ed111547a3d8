"""Zstandard, of the standard library since Python 3.14, before that of the package backports.zstd."""

import importlib
from typing import Any, BinaryIO

from django.utils.translation import gettext_lazy as _

from .exceptions import ArchiveError

MODULES = ("compression.zstd", "backports.zstd")
MISSING = _("The archive needs the package backports.zstd: install pastetrader-executions[archive].")


def zstd() -> Any:
    """Return the module. Raises ArchiveError if it is not installed."""
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ArchiveError(MISSING)


def writer(stream: BinaryIO) -> BinaryIO:
    """Return a stream that compresses into `stream`, with a checksum at the end."""
    module = zstd()
    opened: BinaryIO = module.ZstdFile(stream, "w", options={module.CompressionParameter.checksum_flag: 1})
    return opened


def reader(stream: BinaryIO) -> BinaryIO:
    opened: BinaryIO = zstd().ZstdFile(stream, "r")
    return opened


def damages() -> tuple[type[Exception], ...]:
    """Return the exceptions of reading a file that is damaged or ends early."""
    return zstd().ZstdError, EOFError
