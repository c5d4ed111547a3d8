"""The caller of a request: a token counts separately from its user."""

from django.db.models import Model
from rest_framework.request import Request


def caller_id(request: Request) -> str:
    """Return the id of the caller's token if it is a row, else the id of the user."""
    return f"token:{request.auth.pk}" if isinstance(request.auth, Model) else f"user:{request.user.pk}"
