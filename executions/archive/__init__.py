"""The archive: files that hold runs and log lines before they are deleted (docs/archive.md).

A file is complete, with its manifest, before the database says what is in it, and the database says so before a row is
deleted. Whatever is interrupted leaves at most a file of which the database knows nothing: the next pass overwrites it.
"""

from .archiving import ensure_archived, ensure_lines_archived
from .exceptions import ArchiveError

__all__ = ["ArchiveError", "ensure_archived", "ensure_lines_archived"]
