"""Check of a pooled connection before each request."""

import logging
from select import POLLIN, poll

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

from ledgerkit.rate_limited_logging import RateLimitedLogger

log_closed_connection = RateLimitedLogger(
    logging.getLogger(__name__), "A connection to the database was closed while it was idle. It is replaced: %s"
)


def check_open(connection: Connection[object]) -> None:
    """Raise OperationalError if the server has closed the connection, for the pool's option `check`. Such a socket can
    be read, and only then is the server queried: psycopg_pool's own check takes a round trip for each request."""
    readable = poll()
    readable.register(connection.fileno(), POLLIN)
    if not readable.poll(0):
        return
    try:
        ConnectionPool.check_connection(connection)
    except OperationalError as error:
        log_closed_connection(" ".join(str(error).split()))
        raise
