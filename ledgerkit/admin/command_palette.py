"""URL of the search in the command palette of every page. The app that has the search registers its name."""

from django.urls import reverse

_names: list[str] = []


def register_search(name: str) -> None:
    _names[:] = [name]


def search_address() -> str:
    """Return the URL of the search, "" where no app has one."""
    return reverse(_names[0]) if _names else ""
