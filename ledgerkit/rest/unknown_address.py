from typing import Any

from rest_framework.decorators import api_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from executions.api.errors import NOWHERE


@api_view(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def not_found(_request: Request, /, **_kwargs: Any) -> Response:
    """Answer addresses below the API that no view serves."""
    raise NotFound(NOWHERE)
