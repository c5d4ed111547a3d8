"""Parameters of a connection to the database itself, past a pooler that shares connections per transaction: for LISTEN,
for locks of a session, and for statements that cannot run in a transaction."""

from typing import Any, cast

from django.db import connection

from executions.conf import executions_settings

ADDRESS = {
    "NAME": "dbname",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "host",
    "PORT": "port",
}  # names of Django and of libpq
DJANGOS_OWN = {"pool", "cursor_factory", "context", "prepare_threshold", "server_side_binding"}


def parameters() -> dict[str, Any]:
    """Return the connection's parameters. It may start the embedded server."""
    known = connection.get_connection_params()
    return _past_the_pooler({name: value for name, value in known.items() if name not in DJANGOS_OWN})


def _past_the_pooler(known: dict[str, object]) -> dict[str, object]:
    direct = executions_settings.LISTENER_DATABASE
    if not direct:
        return known
    address = {libpq: direct[name] for name, libpq in ADDRESS.items() if direct.get(name)}
    others = {name: value for name, value in known.items() if name not in ADDRESS.values()}
    return others | dict(cast("dict[str, object]", direct.get("OPTIONS", {}))) | address
