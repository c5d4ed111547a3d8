"""Ownership of the embedded databases by a plain role, as which the application connects. The superuser only creates
it."""

from pathlib import Path

import psycopg
from psycopg import sql

OWNER = "pastetrader"
# For clusters that were made when the application was superuser itself.
GIVE = (Path(__file__).parent / "sql" / "give.sql").read_bytes()


def make_role(connection: psycopg.Connection) -> None:
    """`connection` is the superuser's, as everywhere here."""
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))


def make_database(connection: psycopg.Connection, name: str) -> bool:
    """The role's own. Whether it was there and is somebody else's."""
    found = connection.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", [name]).fetchone()
    if found is None:
        database, owner = sql.Identifier(name), sql.Identifier(OWNER)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    return found is not None and found[0] != OWNER


def give(connection: psycopg.Connection, name: str) -> None:
    """The database `name`, to which `connection` is, and all in it to the role: wholly or not at all."""
    database, owner = sql.Identifier(name), sql.Identifier(OWNER)
    with connection.transaction():
        connection.execute(GIVE)
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, owner))


def allow_tests(connection: psycopg.Connection) -> None:
    """Let the role of a test suite's cluster make databases, become roles that it makes, and turn triggers off."""
    owner = sql.Identifier(OWNER)
    connection.execute(sql.SQL("ALTER ROLE {} CREATEDB CREATEROLE").format(owner))
    connection.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(owner))
    connection.execute(sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(owner))
