"""Preparation that every server runs before it serves."""

import gc
import logging
from threading import Thread

from django.conf import settings
from django.db import DatabaseError, connection

from executions import partitions
from local_postgres.lease import exclusive_lock
from pastetrader.collect_static import collect_if_changed

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Collect changed static files, make the partitions of the coming weeks, and freeze loaded objects. The partitions
    are made in a thread: a server may import the application inside its event loop, where Django refuses database
    access."""
    _collect()
    thread = Thread(target=_make_partitions)
    thread.start()
    thread.join()
    freeze_loaded_objects()


def _collect() -> None:
    """Collect static files. Of several workers that start at once, the first collects and the others wait."""
    if not settings.STATIC_ROOT:
        return
    try:
        settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(settings.LOCAL_DIR / "static.lock"):
            collect_if_changed()
    except OSError as error:  # for example in a read-only image, for which they were collected at build time
        logger.warning("Static files could not be collected: %s. Run `manage.py collectstatic`.", error)


def freeze_loaded_objects() -> None:
    """Exclude all objects that exist now from garbage collection, so that a full collection during a request is
    faster."""
    gc.unfreeze()  # manage.py has excluded what was there before it called the command
    gc.collect()
    gc.freeze()


def _make_partitions() -> None:
    try:
        partitions.make_ahead()
    except DatabaseError as error:
        # Not fatal: a missing partition is created on demand.
        logger.warning(
            "The partitions for the coming weeks could not be made: %s. Has the database been migrated?", error
        )
    finally:
        # Close the pool too: a server may fork later, and its children must not share connections.
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's wrapper
