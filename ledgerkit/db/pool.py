"""A connection that a request does not need for a while, for others."""

from django.db import DEFAULT_DB_ALIAS, connections


def release_connection(using: str = DEFAULT_DB_ALIAS) -> None:
    """Give the thread's connection back to the pool; the next statement takes one again. Nothing happens within a
    transaction, nor without a pool. For requests alone: other code may have left something in its session."""
    connection = connections[using]
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
