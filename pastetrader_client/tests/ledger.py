"""A client of the real ledger, without a port: its calls go to the WSGI application, in the sending thread."""

from typing import Any

import httpx
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

from pastetrader_client import Client
from pastetrader_client.http_transport import HttpTransport
from pastetrader_client.tests.waiting import PatientClient
from tokens.models import Scope, Token


class Application:
    """The ledger, which gives the connection of the sending thread back."""

    def __init__(self) -> None:
        self.handler = WSGIHandler()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        try:
            return list(self.handler(environ, start_response))
        finally:
            connections.close_all()


def ledger_client(user: Any, scopes: list[str] | None = None, **options: Any) -> Client:
    _row, secret = Token.objects.issue(user=user, name="engine", scopes=scopes or list(Scope.values))
    wsgi: Any = httpx.WSGITransport(Application())  # type: ignore[arg-type]  # as WSGI has it
    transport = HttpTransport("http://localhost", secret, wsgi)
    return PatientClient(transport=transport, **{"spool": False, "sigterm": False, "heartbeat": 0.3, **options})
