"""Error messages of commands, instead of a traceback."""

import errno

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from psycopg import errors as postgres

from local_postgres.exceptions import EmbeddedServerError

WITH_TRACEBACK = {"shell", "shell_plus", "test"}  # commands for developers, who need the traceback
FULL = {errno.ENOSPC, errno.EDQUOT}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
CONNECT_TIMEOUT = 5  # seconds


def sentence(error: BaseException, command: str = "") -> str:
    """Return what stopped `command` and what to do; "" if only a traceback explains it."""
    if command in WITH_TRACEBACK:
        return ""
    match error:
        case ImproperlyConfigured() | EmbeddedServerError():
            return str(error)
        case OSError():
            return _of_file(error)
        case DatabaseError():
            return _of_database(error)
        case _:
            return ""


def unreachable() -> str:
    """Return why the configured database cannot be reached, "" if it can."""
    try:
        # Not through the pool, which waits for DATABASE_POOL_TIMEOUT and hides the cause.
        psycopg.connect(**{"connect_timeout": CONNECT_TIMEOUT} | connection.get_connection_params()).close()
    except psycopg.Error as error:
        reason = " ".join(str(error).split()).rstrip(".?")
        return f"The database that DATABASE_URL names cannot be reached: {reason}. Start it, or correct DATABASE_URL."
    return ""


def _of_file(error: OSError) -> str:
    if error.errno in FULL:
        place = error.filename or settings.LOCAL_DIR
        return f"The disk is full: {place} cannot be written. Free some space and start again."
    if error.errno in REFUSED and error.filename:
        return f"{error.filename} may not be written ({error.strerror}). Work as its owner, or set PASTETRADER_LOCAL."
    return ""


def _of_database(error: DatabaseError) -> str:
    if isinstance(error.__cause__, postgres.DiskFull):
        return "The disk of the database is full. Free some space there and start again."
    if isinstance(error.__cause__, postgres.QueryCanceled):
        limit = settings.STATEMENT_TIMEOUT_MS
        return f"A statement took longer than DATABASE_STATEMENT_TIMEOUT_MS, {limit} ms: try again, or raise it."
    if isinstance(error, ProgrammingError) and isinstance(error.__cause__, postgres.UndefinedTable):
        return "The database has no tables of the ledger yet: run `manage.py migrate`."
    if isinstance(error.__cause__, postgres.InsufficientPrivilege):
        return f"The database refuses its role something: {error}. docs/security.md says what to grant."
    return unreachable() if isinstance(error, OperationalError) else ""
