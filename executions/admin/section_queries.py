"""Queries of page sections: a section that fails or times out leaves the others on the page."""

import logging
from collections.abc import Callable

from django.db import DatabaseError

from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

logger = logging.getLogger(__name__)


def query_or_none[T](name: str, load: Callable[[], T], milliseconds: int) -> T | None:
    """Return the result of `load()`; None, with a log line, if it timed out or the database failed."""
    try:
        with statement_timeout(milliseconds):
            return load()
    except StatementTimeout:
        logger.warning("The section %s took longer than %s ms.", name, milliseconds)
    except DatabaseError:
        logger.exception("The section %s could not be loaded.", name)
    return None
