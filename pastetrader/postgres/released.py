"""Giving a request's connection back while Python computes, so that others are answered meanwhile."""

from django.db import connection


def release() -> None:
    """Give this thread's connection back to the pool, unless a transaction is open; the next question takes one."""
    if not connection.in_atomic_block:
        connection.close()
