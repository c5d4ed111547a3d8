"""The log of one run as a page of its own: any number of lines, read by windows, searched, followed and downloaded."""

from .views import urls

__all__ = ["urls"]
