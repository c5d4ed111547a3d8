"""Error pages: HTML in the admin's layout, problems in JSON for the API."""

import re
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from ledgerkit.rest import problems
from ledgerkit.rest.api_prefix import is_api
from pastetrader.admin import permission_label

MOST_ADMINISTRATORS = 3  # administrators named on the page
NEEDED = {"changelist": "view", "change": "view", "history": "view", "add": "add", "delete": "delete"}
OF_ADMIN = re.compile(r"(?P<app>[a-z]+)_(?P<model>[a-z]+)_(?P<page>[a-z]+)")
CODENAME = re.compile(r"(?P<app>[a-z]+)\.(?P<codename>[a-z_]+)")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page, or the problem of the API, for an address without a view (handler404)."""
    if is_api(request.path_info):
        return problems.not_found()
    message = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    return _page(request, "404.html", HTTPStatus.NOT_FOUND, _("Nothing is here"), message=message)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403: name the missing permission and who can grant it."""
    if is_api(request.path_info):
        return problems.forbidden(str(exception))
    permission = _missing(request, str(exception))
    name = permission_label(permission) if permission else ""
    words = {"permission": permission, "permission_name": name, "administrators": _administrators(request)}
    return _page(request, "403.html", HTTPStatus.FORBIDDEN, _("You may not do this"), **words)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  # Django passes it
    """Return the page for a form without a valid CSRF token (CSRF_FAILURE_VIEW)."""
    return _page(request, "403_csrf.html", HTTPStatus.FORBIDDEN, _("The form was not accepted"))


def _page(request: HttpRequest, template: str, status: HTTPStatus, title: str, **words: object) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": title} | words
    return render(request, template, context, status=status)


def _missing(request: HttpRequest, message: str) -> Permission | None:
    """Return the permission that the refusal names, or that the page of the admin requires."""
    if named := CODENAME.fullmatch(message):
        app, codename = named["app"], named["codename"]
    elif page := OF_ADMIN.fullmatch((request.resolver_match and request.resolver_match.url_name) or ""):
        app, codename = page["app"], f"{NEEDED.get(page['page'], 'view')}_{page['model']}"
    else:
        return None
    return Permission.objects.filter(content_type__app_label=app, codename=codename).first()


def _administrators(request: HttpRequest) -> list[str]:
    """Return the names of users who can grant permissions; none unless the user is staff."""
    if not admin.site.has_permission(request):
        return []
    users: Any = get_user_model()._default_manager.filter(is_superuser=True, is_active=True).order_by("pk")
    return [user.get_full_name() or user.get_username() for user in users[:MOST_ADMINISTRATORS]]
