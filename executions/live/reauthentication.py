"""Authentication of a stream's request again while it is open."""

from copy import copy
from typing import Any
from uuid import UUID

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse

from .rights import Ground


def reauthenticated_request(request: HttpRequest) -> HttpRequest:
    """Copy the request without what the middleware set for its caller."""
    came = copy(request)
    vars(came).pop("_cached_user", None)
    SessionMiddleware(_copy_request).process_request(came)
    AuthenticationMiddleware(_copy_request).process_request(came)
    return came


def _copy_request(_request: HttpRequest) -> HttpResponse:
    raise NotImplementedError  # a copy is only asked for its user


def permission_grounds(request: HttpRequest, token: Any = None, run: UUID | None = None) -> tuple[Ground, ...]:
    """Return the rows that the caller's right to follow rests on: with a token, its session does not count."""
    session = None if token else request.session.session_key
    named = {"user": request.user.pk, "token": token and token.pk, "session": session, "run": run}
    return tuple(Ground(kind, str(id)) for kind, id in named.items() if id is not None)
