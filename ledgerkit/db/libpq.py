"""Parameters of libpq, for connections beside Django's."""

from django.db import connections

DJANGOS_OWN = {"pool", "cursor_factory", "context", "prepare_threshold", "server_side_binding"}


def libpq_parameters(using: str) -> dict[str, str]:
    """Return the parameters of a database's connections. It may start the embedded server."""
    known = connections[using].get_connection_params()
    return {name: value for name, value in known.items() if name not in DJANGOS_OWN}
