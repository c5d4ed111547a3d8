"""The view of addresses that no other view serves."""

from typing import Any

from rest_framework.decorators import api_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from .problems import UNKNOWN_ADDRESS


@api_view(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def not_found(_request: Request, /, **_kwargs: Any) -> Response:
    """Respond to every request with 404."""
    raise NotFound(UNKNOWN_ADDRESS)
