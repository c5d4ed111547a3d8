"""Questions of which a page has several, and each of which may fail by itself."""

import logging
from collections.abc import Callable

from django.db import DatabaseError

from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

logger = logging.getLogger(__name__)


def query_or_none[T](name: str, question: Callable[[], T], milliseconds: int) -> T | None:
    """The answer, or None where there was none in time."""
    try:
        with statement_timeout(milliseconds):
            return question()
    except StatementTimeout:
        logger.warning("The section %s took longer than %s ms.", name, milliseconds)
    except DatabaseError:
        logger.exception("The section %s could not be asked.", name)
    return None
