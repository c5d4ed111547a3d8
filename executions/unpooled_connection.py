"""Parameters of a connection to the database itself, past a pooler that shares connections per transaction: for LISTEN,
for locks of a session, and for statements that cannot run in a transaction."""

from collections.abc import Mapping
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS

from executions.conf import executions_settings
from ledgerkit.db.libpq import libpq_parameters

ADDRESS = {
    "NAME": "dbname",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "host",
    "PORT": "port",
}  # names of Django and of libpq


def parameters() -> dict[str, Any]:
    """Return the connection's parameters. It may start the embedded server."""
    return _past_the_pooler(libpq_parameters(DEFAULT_DB_ALIAS))


def _past_the_pooler(known: Mapping[str, object]) -> dict[str, object]:
    direct = executions_settings.LISTENER_DATABASE
    if not direct:
        return dict(known)
    address = {libpq: direct[name] for name, libpq in ADDRESS.items() if direct.get(name)}
    others = {name: value for name, value in known.items() if name not in ADDRESS.values()}
    chosen = dict(cast("dict[str, object]", direct.get("OPTIONS", {})))
    return others | chosen | _settings_of_both(others, chosen) | address


def _settings_of_both(*found: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of the session, in `options`: those of the last one win."""
    options = " ".join(str(each["options"]) for each in found if each.get("options"))
    return {"options": options} if options else {}
