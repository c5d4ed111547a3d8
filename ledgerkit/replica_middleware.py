"""Middleware that lets requests which only read use the replica."""

from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import MiddlewareNotUsed
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.last_writes import note_write
from ledgerkit.db.read_database import ReplicaFailed, reading

READS = frozenset({"GET", "HEAD"})
WITHOUT_EFFECT = READS | {"OPTIONS", "TRACE"}
FRESH = "no-cache"  # in Cache-Control, as a browser sends it with `cache: "no-store"`


class ReplicaMiddleware:
    """A request that only reads may read the replica, if that has what the caller wrote. It is repeated on the primary
    where the replica fails, or leads to an error: what the request names may not be there yet. Unused without a
    replica."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not ledgerkit_settings.REPLICA:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in READS:
            return self._write(request)
        if FRESH in request.headers.get("Cache-Control", ""):
            return self.get_response(request)
        return self._read(request)

    def process_exception(self, _request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return a placeholder response, which is never sent, so that Django does not log the exception."""
        is_failed = isinstance(exception, ReplicaFailed)
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE) if is_failed else None

    def _read(self, request: HttpRequest) -> HttpResponse:
        with reading(lambda: _caller(request)) as reads:
            response = self.get_response(request)
        is_error = reads.is_used and HTTPStatus(response.status_code).is_client_error
        return self.get_response(request) if reads.has_failed or is_error else response

    def _write(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        caller = _caller(request)
        if caller is not None and request.method not in WITHOUT_EFFECT:
            note_write(caller)
        return response


def _caller(request: HttpRequest) -> str | None:
    """Return the id of the token, which REST framework sets, or of the user; None for others."""
    token, user = getattr(request, "auth", None), getattr(request, "user", None)
    if isinstance(token, Model):
        return f"token:{token.pk}"
    return f"user:{user.pk}" if user is not None and user.pk is not None else None
