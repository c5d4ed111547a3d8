"""Permissions of the API: scopes of tokens, permissions of users, workflows that a token is bound to."""

from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request

from .models import Token


def limit_to_token[Q: QuerySet[Model]](rows: Q, request: Request, path: str = "workflow_id") -> Q:
    """Filter `rows` by the workflows that the request's token is bound to, if any. `path` is the lookup of their id."""
    bound_to = request.auth.bound_to if isinstance(request.auth, Token) else []
    return rows.filter(**{f"{path}__in": bound_to}) if bound_to else rows


def is_bound(request: Request) -> bool:
    """Return whether the request's token is bound to workflows."""
    return isinstance(request.auth, Token) and bool(request.auth.bound_to)


def is_bound_to(request: Request, workflow: UUID) -> bool:
    """Return whether limit_to_token() keeps the rows of this workflow."""
    return not isinstance(request.auth, Token) or not request.auth.bound_to or workflow in request.auth.bound_to


class ScopePermission(IsAuthenticated):
    """Permission to use an action at all; the view's queryset limits the rows.

    `reads` of a view is the scope that a token needs to read; a session's user needs none. `grants` maps each other
    action to the scope that a token needs and the permission that a session's user needs.
    """

    message: str

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        if getattr(view, "action", None) is None:  # the API root, or an unsupported method (405)
            return True
        scope, permission = (view.reads, "") if request.method in SAFE_METHODS else view.grants[view.action]
        if isinstance(request.auth, Token):
            self.message = (
                f"This token lacks the scope {scope}. Make one with it: manage.py create_token --scope {scope}."
            )
            return scope in request.auth.scopes
        self.message = f"Your account lacks the permission {permission}. Ask an administrator for it."
        return not permission or request.user.has_perm(permission)

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        """Return whether a token may change a row: a scope never exceeds the permissions of its user. Staff may see
        rows of other owners without the permission to change them. `obj` is the row, or the parent of a new row; its
        `owner_id` is the id of the user who owns it."""
        if request.method in SAFE_METHODS or not isinstance(request.auth, Token) or not request.user.is_staff:
            return True  # others see only their own rows
        _scope, permission = view.grants[view.action]
        self.message = f"This is not yours, and your account lacks the permission {permission} to change it."
        return obj.owner_id == request.user.pk or request.user.has_perm(permission)
