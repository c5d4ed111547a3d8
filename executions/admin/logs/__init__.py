"""Log page of one run: loads lines in windows, searches, follows a running log and downloads it."""

from .views import urls

__all__ = ["urls"]
