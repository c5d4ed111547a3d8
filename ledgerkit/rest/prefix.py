"""The URL prefix of the API: the setting `API_PREFIX` (default "/api/")."""

from django.conf import settings

DEFAULT = "/api/"


def is_api(path: str) -> bool:
    """Return whether a path belongs to the API, so that its errors are JSON."""
    return path.startswith(getattr(settings, "API_PREFIX", DEFAULT))
