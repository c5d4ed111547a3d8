"""The history page of a row. The app that records changes registers how they are read; Django itself shows only the
changes that were made in the admin."""

from collections.abc import Callable

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from ledgerkit.types import Context

from .lists import StrictAdmin

type Reader = Callable[[Model], dict[str, object]]

_readers: list[Reader] = []


def register_history(reader: Reader) -> Reader:
    """Register the function that returns the context of a history page: the `changes` of a row, and whether the list
    `is_cut` to the newest `shown`."""
    _readers[:] = [reader]
    return reader


class ChangesMixin(StrictAdmin):
    """Show every recorded change on the history page; Django's own page where no app records changes."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Context | None = None) -> HttpResponse:
        subject = self.get_object(request, unquote(object_id))
        if not _readers or subject is None:
            return super().history_view(request, object_id, extra_context)
        if not self.has_view_or_change_permission(request, subject):
            raise PermissionDenied
        title = gettext("Changes of %(name)s") % {"name": subject}
        context = {"title": title, "object": subject, "opts": self.opts, "media": self.media} | _readers[0](subject)
        context = self.admin_site.each_context(request) | context | (extra_context or {})
        return TemplateResponse(request, "admin/changes/history.html", context)
