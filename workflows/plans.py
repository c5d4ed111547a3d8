"""How PostgreSQL goes about what it checks for each row that is written."""

from django.db import connection


def forget_plans() -> None:
    """Let PostgreSQL plan anew how it checks each edge. A connection keeps the plans of foreign keys and triggers until
    the next ANALYZE; one that was made while `nodes` was small reads the whole table for each of them."""
    with connection.cursor() as cursor:
        cursor.execute("DISCARD PLANS")
