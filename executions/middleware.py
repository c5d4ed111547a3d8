"""Middleware that sets the actor and the request id of each request for the history."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.models import uuid7

from .audit import Through, act_as
from .secrets import key_value_patterns

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

HEADER, SENT = "X-Request-ID", "HTTP_X_REQUEST_ID"  # in the response, and of the request: `headers` is built at once
SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,200}")


class ActorMiddleware:
    """Set the actor of a request: its user, and the request id that a proxy sent or a new one. The response repeats the
    request id. The views of the API set the token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        header = request.META.get(SENT, "")
        is_sane = SANE.fullmatch(header) and key_value_patterns.is_clear(header, ledgerkit_settings.SECRET_KEYS_EXTRA)
        given = header if is_sane else ""
        request_id = given or str(uuid7())
        request.request_id = request_id  # type: ignore[attr-defined]  # an attribute of ours, for the server's log
        user = cast("AbstractUser", SimpleLazyObject(lambda: request.user))
        with act_as(through=Through.ADMIN, user=user, request_id=request_id, given_id=given, name=""):
            response = self.get_response(request)
        response[HEADER] = request_id
        return response
