"""Check of a pooled connection before each request."""

from select import POLLIN, poll

from psycopg import Connection
from psycopg_pool import ConnectionPool


def check_open(connection: Connection[object]) -> None:
    """Raise OperationalError if the server has closed the connection, for the pool's option `check`. Such a socket can
    be read, and only then is the server queried: psycopg_pool's own check takes a round trip for each request."""
    readable = poll()
    readable.register(connection.fileno(), POLLIN)
    if readable.poll(0):
        ConnectionPool.check_connection(connection)
