"""Django's request inside the one of REST framework."""

from django.http import HttpRequest
from rest_framework.request import Request


def django_request(request: Request) -> HttpRequest:
    """Return the request that REST framework wraps, for code of Django's. There is no public name for it."""
    http: HttpRequest = request._request
    return http
