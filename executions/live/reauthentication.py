"""Repeated authentication of a stream's request while the stream is open."""

from copy import copy
from functools import partial
from uuid import UUID

from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from tokens.models import Token

from .access_changes import AccessRow


def reauthenticated_request(request: HttpRequest) -> HttpRequest:
    """Copy the request without what the middleware set for its caller."""
    again = copy(request)
    SessionMiddleware(_no_response).process_request(again)
    # AuthenticationMiddleware would return the user that it cached in the request.
    again.user = SimpleLazyObject(partial(get_user, again))  # type: ignore[assignment]  # the stubs know no lazy one
    return again


def _no_response(_request: HttpRequest) -> HttpResponse:
    raise NotImplementedError  # the copy gets no response


def access_rows(request: HttpRequest, token: Token | None = None, run: UUID | None = None) -> tuple[AccessRow, ...]:
    """Return the rows that the caller's access depends on. With a token, its session does not count."""
    session = None if token else request.session.session_key
    named = {"user": request.user.pk, "token": token and token.pk, "session": session, "run": run}
    return tuple(AccessRow(kind, str(id)) for kind, id in named.items() if id is not None)
