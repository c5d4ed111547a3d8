"""Preparation that every server runs before it serves."""

import gc
import logging
from threading import Thread

from django.conf import settings
from django.db import DatabaseError, connection

from executions import partitions
from local_postgres.lease import one_at_a_time
from pastetrader.static import collect_if_changed

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Collect static files that have changed, and make the partitions for the coming weeks. In a thread of its own: a
    server may import the application from within its event loop, where Django keeps the database closed."""
    _collect()
    thread = Thread(target=_make_partitions)
    thread.start()
    thread.join()
    settle()


def _collect() -> None:
    """Several workers start at once: the first collects, the others wait."""
    if not settings.STATIC_ROOT:
        return
    try:
        settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(settings.LOCAL_DIR / "static.lock"):
            collect_if_changed()
    except OSError as error:  # such as a read-only image, in which they were collected when it was built
        logger.warning("Static files could not be collected: %s. Run `manage.py collectstatic`.", error)


def settle() -> None:
    """Exclude from garbage collection what is loaded by now. A full collection would look through all of it, in the
    middle of some request."""
    gc.collect()
    gc.freeze()


def _make_partitions() -> None:
    try:
        partitions.make_ahead()
    except DatabaseError as error:
        # Lines are stored all the same: a partition that is missing then is made on demand.
        logger.warning(
            "The partitions for the coming weeks could not be made: %s. Has the database been migrated?", error
        )
    finally:
        # The pool goes too: a server may fork after this, and its children must not share the pool's connections.
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's wrapper
