"""Who may speak to the API: `Authorization: Token ptl_...`, and what its scopes, or a session's permissions, allow."""

import hashlib
from typing import Any

from django.conf import settings
from django.core.cache import caches
from rest_framework import authentication, exceptions, throttling
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request

from . import failed_attempts
from .models import Token

RIGHT = 3_600  # seconds for which a token that was right is let through where others of its address are refused


def owner_id(row: Any) -> Any:
    """Of the workflow that a row is, or belongs to."""
    while not hasattr(row, "owner_id"):
        row = row.workflow_execution if hasattr(row, "workflow_execution") else row.workflow
    return row.owner_id


class TokenAuthentication(authentication.TokenAuthentication):
    """REST framework's header and words, our hashed tokens. `request.auth` is the Token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Raises Throttled for a token that is not known to be right, where too many from its address were wrong."""
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
    """Lately: an engine is not refused for what another one of its address does. It is looked up all the same."""
    return bool(caches["failures"].get(_key(said)))


def _key(said: bytes) -> str:
    return f"right:{hashlib.sha256(said).hexdigest()}"


class BearerAuthentication(TokenAuthentication):
    """The same in the words of RFC 6750, which every generated client knows: `Authorization: Bearer ptl_...`."""

    keyword = "Bearer"


def caller_id(request: Request) -> str:
    """A token is a caller of its own, whoever else it belongs to."""
    auth = request.auth
    return f"token:{auth.pk}" if isinstance(auth, Token) else f"user:{request.user.pk}"


class WriteThrottle(throttling.SimpleRateThrottle):
    """REST framework's, for each caller by itself. Whoever is none has been refused before; and a refused request has
    not come to its Idempotency-Key, which remembers nothing of it."""

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
    """Of `rows`, those of the workflows that the request's token is bound to, if it is; `path` leads to their id."""
    bound_to = request.auth.bound_to if isinstance(request.auth, Token) else []
    return rows.filter(**{f"{path}__in": bound_to}) if bound_to else rows


class ScopePermission(IsAuthenticated):
    """What a caller may do at all; which rows it may see is the view's queryset.

    A view says in `reads` which scope a token needs to read, where a session's user needs none; and in `grants` for
    each other action which scope a token needs and which permission a session's user.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        if getattr(view, "action", None) is None:  # the table of contents, or a method that the view has not (405)
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
        """A scope never exceeds its user: what somebody sees only because staff may, a token of theirs changes only as
        their permissions allow. `obj` is the row itself or the one that a new row will belong to."""
        if request.method in SAFE_METHODS or not isinstance(request.auth, Token) or not request.user.is_staff:
            return True  # who is not staff sees nothing but their own
        _scope, permission = self._grant(request, view)
        self.message = f"This is not yours, and your account lacks the permission {permission} to change it."
        return request.user.has_perm(permission) or owner_id(obj) == request.user.pk

    def _grant(self, request: Request, view: Any) -> tuple[str, str]:
        if request.method in SAFE_METHODS:
            return view.reads, ""
        scope, permission = view.grants[view.action]
        return scope, permission
