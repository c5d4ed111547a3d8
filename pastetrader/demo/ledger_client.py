"""The demo's connection to the ledger: the reporter, whose requests are answered in this process. They pass the API,
with a token, as those of any engine do, and no network: no socket, server or second process is between."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.utils import timezone

from executions import reporting
from pastetrader_client import Client
from pastetrader_client.http_transport import HttpTransport
from tokens.models import Scope, Token

SCOPES = [Scope.EXECUTIONS_REPORT.value, Scope.EXECUTIONS_CONTROL.value]
LIFETIME = timedelta(hours=1)


@contextmanager
def connect(user: User | None) -> Iterator[Client]:
    """Yield a client of the API with a token of the user, valid until the end of the block. Nobody has no token, and
    reports in process."""
    if user is None:
        with reporting.client() as client:
            yield client
        return
    expires_at = timezone.now() + LIFETIME
    token, secret = Token.objects.issue(user=user, name="demo", scopes=SCOPES, expires_at=expires_at)
    names = (name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*")
    address = f"https://{next(names, 'localhost')}"  # https is not redirected, whatever the settings say
    transport = HttpTransport(address, secret, httpx.WSGITransport(_application))
    try:
        with Client(transport=transport, spool=False, sigterm=False) as client:
            yield client
    finally:
        token.revoke()


@cache
def _handler() -> WSGIHandler:
    return WSGIHandler()


def _application(environ: Any, start_response: Any) -> Any:
    """Answer a call of the API in this process: `make run` runs the demo before its server listens."""
    try:
        return list(_handler()(environ, start_response))
    finally:
        connections.close_all()
