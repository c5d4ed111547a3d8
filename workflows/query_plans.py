"""Cached query plans of PostgreSQL's row checks."""

from django.db import connection


def forget_plans() -> None:
    """Make PostgreSQL plan the checks of each edge again. A connection keeps the plans of foreign keys and triggers
    until the next ANALYZE; one planned while `nodes` was small scans the whole table per edge."""
    with connection.cursor() as cursor:
        cursor.execute("DISCARD PLANS")
