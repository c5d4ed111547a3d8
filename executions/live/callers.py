"""Who asked for a stream, found out once more while it is open."""

from copy import copy

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse


def as_it_came(request: HttpRequest) -> HttpRequest:
    """Without what the middleware found out about its caller back then."""
    came = copy(request)
    vars(came).pop("_cached_user", None)
    SessionMiddleware(_unanswered).process_request(came)
    AuthenticationMiddleware(_unanswered).process_request(came)
    return came


def _unanswered(_request: HttpRequest) -> HttpResponse:
    raise NotImplementedError  # a copy is only asked for its user
