"""Release of a pooled connection in the middle of a request."""

from django.db import DEFAULT_DB_ALIAS, connections


def release_connection(using: str = DEFAULT_DB_ALIAS) -> None:
    """Return the thread's connection to the pool; the next query takes one again. Does nothing within a transaction or
    without a pool. Only for requests: other code may keep state in its database session."""
    connection = connections[using]
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
