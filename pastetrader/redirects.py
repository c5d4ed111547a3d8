"""Validation of redirect targets in requests: only existing pages of this site are allowed."""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import Resolver404, get_script_prefix, resolve
from django.utils.http import url_has_allowed_host_and_scheme

NO_PAGES = (None, "logout")

type View = Callable[..., HttpResponseBase]


def leads_here(request: HttpRequest, target: str) -> bool:
    """Return whether `target` is the address of an existing page of this site."""
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return False
    path = f"/{urlsplit(target).path.removeprefix(get_script_prefix())}"
    return any(_name_of(each) not in NO_PAGES for each in (path, f"{path}/"))  # Django adds a missing slash


def _name_of(path: str) -> str | None:
    """Return the name of the URL pattern; None if no pattern, or only a catch-all pattern, matches."""
    try:
        return resolve(path).url_name
    except (Resolver404, ValueError):
        return None


def check_next(view: View) -> View:
    """Wrap a view so that an invalid `next` is removed from the request and the view uses its default."""

    @wraps(view)
    def with_checked_next(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        request.GET, request.POST = _without_bad(request, request.GET), _without_bad(request, request.POST)  # type: ignore[assignment]  # the stubs know only immutable ones
        return view(request, *args, **kwargs)

    return with_checked_next


def _without_bad(request: HttpRequest, parameters: QueryDict) -> QueryDict:
    targets = parameters.getlist(REDIRECT_FIELD_NAME)
    if all(leads_here(request, target) for target in targets):
        return parameters
    kept = parameters.copy()
    del kept[REDIRECT_FIELD_NAME]
    return kept
