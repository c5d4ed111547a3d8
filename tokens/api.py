"""Authentication and permissions of the API: `Authorization: Token ptl_...`, scopes of tokens, users' permissions."""

import hashlib
from typing import Any

from django.conf import settings
from django.core.cache import caches
from rest_framework import authentication, exceptions, throttling
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request

from . import failed_attempts
from .models import Token

RIGHT = 3_600  # seconds for which a valid token is accepted although its address is throttled


def owner_id(row: Any) -> Any:
    """Return the owner's id of a workflow, or of the workflow that a row belongs to."""
    while not hasattr(row, "owner_id"):
        row = row.workflow_execution if hasattr(row, "workflow_execution") else row.workflow
    return row.owner_id


class TokenAuthentication(authentication.TokenAuthentication):
    """REST framework's token authentication with hashed tokens. `request.auth` is the Token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Authenticate the request. Raises Throttled after too many wrong tokens from the address, unless this token
        was valid recently."""
        said = authentication.get_authorization_header(request)
        if said.partition(b" ")[0].lower() != self.keyword.lower().encode():
            return None
        tried = failed_attempts.token(request._request)
        if (wait := tried.wait()) and not _was_valid_lately(said):
            raise exceptions.Throttled(wait, "Too many wrong tokens came from your address: check the token.")
        try:
            found = super().authenticate(request)
        except exceptions.AuthenticationFailed:
            tried.failed()
            raise
        if settings.TOKEN_FAILURES:
            caches["failures"].set(_key(said), True, RIGHT)
        return found

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        token = Token.objects.of(key)
        if token is None:
            raise exceptions.AuthenticationFailed(
                "This token is unknown, expired or revoked. Ask an administrator for a new one."
            )
        return token.user, token


def _was_valid_lately(said: bytes) -> bool:
    """Return whether the token was valid recently: an engine is not throttled for another one at its address. The token
    is still checked."""
    return bool(caches["failures"].get(_key(said)))


def _key(said: bytes) -> str:
    return f"right:{hashlib.sha256(said).hexdigest()}"


class BearerAuthentication(TokenAuthentication):
    """Authenticate with the Bearer scheme of RFC 6750, which generated clients use: `Authorization: Bearer ptl_...`."""

    keyword = "Bearer"


def caller_id(request: Request) -> str:
    """Return the id of the caller: a token counts separately from its user."""
    auth = request.auth
    return f"token:{auth.pk}" if isinstance(auth, Token) else f"user:{request.user.pk}"


class WriteThrottle(throttling.SimpleRateThrottle):
    """Throttle write requests per caller. Anonymous requests were rejected before. A throttled request does not reach
    the idempotency check, so nothing is stored for its key."""

    scope = "write"

    def applies(self, method: str | None) -> bool:
        return method not in SAFE_METHODS

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        ident = caller_id(request)
        return self.cache_format % {"scope": self.scope, "ident": ident} if self.applies(request.method) else None


class ReadThrottle(WriteThrottle):
    scope = "read"

    def applies(self, method: str | None) -> bool:
        return method in SAFE_METHODS


def limit_to_token(rows: Any, request: Request, path: str = "workflow_id") -> Any:
    """Filter `rows` by the workflows that the request's token is bound to, if any. `path` is the lookup of their id."""
    bound_to = request.auth.bound_to if isinstance(request.auth, Token) else []
    return rows.filter(**{f"{path}__in": bound_to}) if bound_to else rows


class ScopePermission(IsAuthenticated):
    """Permission to use an action at all; the view's queryset limits the rows.

    `reads` of a view is the scope that a token needs to read; a session's user needs none. `grants` maps each other
    action to the scope that a token needs and the permission that a session's user needs.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        if getattr(view, "action", None) is None:  # the API root, or an unsupported method (405)
            return True
        scope, permission = self._grant(request, view)
        if isinstance(request.auth, Token):
            self.message = (
                f"This token lacks the scope {scope}. Make one with it: manage.py create_token --scope {scope}."
            )
            return scope in request.auth.scopes
        self.message = f"Your account lacks the permission {permission}. Ask an administrator for it."
        return not permission or request.user.has_perm(permission)

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        """Return whether a token may change a row: a scope never exceeds the permissions of its user. Staff may see
        rows of other owners without the permission to change them. `obj` is the row, or the parent of a new row."""
        if request.method in SAFE_METHODS or not isinstance(request.auth, Token) or not request.user.is_staff:
            return True  # others see only their own rows
        _scope, permission = self._grant(request, view)
        self.message = f"This is not yours, and your account lacks the permission {permission} to change it."
        return request.user.has_perm(permission) or owner_id(obj) == request.user.pk

    def _grant(self, request: Request, view: Any) -> tuple[str, str]:
        if request.method in SAFE_METHODS:
            return view.reads, ""
        scope, permission = view.grants[view.action]
        return scope, permission
