from django.core import checks

from . import compression, folders
from .exceptions import ArchiveError


def check_archive(**_kwargs: object) -> list[checks.CheckMessage]:
    """Report a package that EXECUTIONS["ARCHIVE"] needs and that is not installed."""
    try:
        if folders.configured_folder() is not None:
            compression.zstd()
    except ArchiveError as error:
        return [checks.Error(str(error), id="executions.E001")]
    return []
