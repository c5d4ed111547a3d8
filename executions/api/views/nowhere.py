from typing import Any

from rest_framework.decorators import api_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response


@api_view(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def not_found(_request: Request, /, **_kwargs: Any) -> Response:
    """For addresses under the API that nothing answers to."""
    raise NotFound("There is nothing at this address. Addresses end with a slash, and ids are UUIDs in lower case.")
