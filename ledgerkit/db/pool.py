"""Pooled connections: released in the middle of a request, and checked before it."""

from select import POLLIN, poll
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import Connection
from psycopg_pool import ConnectionPool


def release_connection(using: str = DEFAULT_DB_ALIAS) -> None:
    """Return the thread's connection to the pool; the next query takes one again. Does nothing within a transaction or
    without a pool. Only for requests: other code may keep state in its database session."""
    connection = connections[using]
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()


def check_open(connection: Connection[Any]) -> None:
    """Raise OperationalError if the server has closed the connection, for the pool's option `check`. Such a socket can
    be read, and only then is the server queried: psycopg_pool's own check takes a round trip for each request."""
    readable = poll()
    readable.register(connection.fileno(), POLLIN)
    if readable.poll(0):
        ConnectionPool.check_connection(connection)
