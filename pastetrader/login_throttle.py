"""Throttling of the two pages that check a password: the login and the change of one's own password."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ledgerkit.db.pool import release_connection
from tokens import failed_attempts

BUSY = 5  # Retry-After, in seconds
FOUND = 302  # both pages redirect if the password was right

type View = Callable[..., Any]


def throttle_login(view: View, name_of: Callable[[HttpRequest], str]) -> View:
    """Wrap a view so that it does not check the password of a throttled user. `name_of` returns the user name of a
    request."""

    @wraps(view)
    def throttled_view(request: HttpRequest, *args: object, **kwargs: object) -> object:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        tried = failed_attempts.login_attempt(request, name_of(request))
        if wait := tried.wait():
            return _refuse(view, request, _too_many(wait), 429, wait)
        release_connection()  # with which the user of a session was read
        with failed_attempts.take_turn() as is_ours:
            if not is_ours:
                return _refuse(view, request, _("Too many users are logging in. Try again in a moment."), 503, BUSY)
            if not tried.count():  # after earlier failures
                wait = max(1, tried.wait())
                return _refuse(view, request, _too_many(wait), 429, wait)
            return _count_failure(tried, view, request, *args, **kwargs)

    return throttled_view


def _count_failure(
    tried: failed_attempts.Attempt, view: View, request: HttpRequest, *args: object, **kwargs: object
) -> Any:
    """Return the view's response. Only a wrong password counts as a failure."""
    try:
        response = view(request, *args, **kwargs)
    except Exception:
        tried.take_back()
        raise
    (tried.reset if response.status_code == FOUND else tried.log_failure)()
    return response


def posted_name(request: HttpRequest) -> str:
    return request.POST.get("username", "").strip()


def own_name(request: HttpRequest) -> str:
    return request.user.get_username()


def _too_many(wait: int) -> str:
    minutes = -(-wait // 60)
    return ngettext(
        "Too many logins with this name, or from this address, have failed. Try again in %(minutes)d minute.",
        "Too many logins with this name, or from this address, have failed. Try again in %(minutes)d minutes.",
        minutes,
    ) % {"minutes": minutes}


def _refuse(view: View, request: HttpRequest, sentence: str, status: int, wait: int) -> Any:
    """Render the empty form with an error above it."""
    shown = copy(request)
    shown.method = "GET"
    messages.error(shown, sentence)
    response = view(shown)
    if response.status_code != FOUND:
        response.status_code = status
        response["Retry-After"] = str(wait)
    return response
