"""A plain role that owns the embedded databases and as which the application connects. The superuser only creates
it."""

from pathlib import Path

import psycopg
from psycopg import sql

OWNER = "pastetrader"
# For clusters of earlier versions, in which the application was a superuser.
CHANGE_OWNER = (Path(__file__).parent / "sql" / "change_owner.sql").read_bytes()


def make_role(connection: psycopg.Connection) -> None:
    """Create the role. `connection` is the superuser's in all functions here."""
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))


def make_database(connection: psycopg.Connection, name: str) -> bool:
    """Create the database, owned by the role. Return whether it existed with another owner."""
    found = connection.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", [name]).fetchone()
    if found is None:
        database, owner = sql.Identifier(name), sql.Identifier(OWNER)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    return found is not None and found[0] != OWNER


def give_ownership(connection: psycopg.Connection, name: str) -> None:
    """Make the role the owner of the database `name`, to which `connection` is connected, and of everything in it, in
    one transaction."""
    database, owner = sql.Identifier(name), sql.Identifier(OWNER)
    with connection.transaction():
        connection.execute(CHANGE_OWNER)
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, owner))


def allow_tests(connection: psycopg.Connection) -> None:
    """Allow the role of a test cluster to create databases, to become roles that it creates, and to disable
    triggers."""
    owner = sql.Identifier(OWNER)
    connection.execute(sql.SQL("ALTER ROLE {} CREATEDB CREATEROLE").format(owner))
    connection.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(owner))
    connection.execute(sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(owner))
