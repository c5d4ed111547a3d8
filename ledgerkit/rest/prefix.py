"""Where the API is: the paths below the setting `API_PREFIX` (default "/api/")."""

from django.conf import settings

DEFAULT = "/api/"


def is_api(path: str) -> bool:
    """Return whether a request's path belongs to the API, and is answered in JSON."""
    return path.startswith(getattr(settings, "API_PREFIX", DEFAULT))
