"""Base of the ledger's model admins: read-only lists and pages; rows change through actions alone."""

import logging
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, OperationalError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as text_of_django  # under this name it is not collected for our catalogue
from django.utils.translation import gettext_lazy as _
from psycopg.errors import QueryCanceled

from executions import limits
from executions.admin import exports
from executions.admin.types import Context
from executions.models import ExecutionLog, NodeExecution
from executions.querysets import can_see
from ledgerkit.db.models import parse_uuid
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout
from ledgerkit.types import StrOrPromise

from .actions import TransitionActionsMixin
from .filters import validation
from .pagination import EXPORT, NEWER, OLDER
from .search_changelist import SearchedChangeList

if TYPE_CHECKING:
    from django.db.models.options import Options


logger = logging.getLogger(__name__)


class RowNotFound(Exception):
    """There is no row with the id in the path, or the user may not see it."""


class ReadOnlyAdmin(TransitionActionsMixin):
    """Read-only model admin. `columns` are the only columns loaded, `related` is passed to select_related(), and
    `keyset` is the order of the list. `headers` are the list's columns, whose cells `_row.html` renders."""

    columns: ClassVar[tuple[str, ...]]
    related: ClassVar[tuple[str, ...]]
    keyset: ClassVar[tuple[str, ...]]
    can_delete: ClassVar[bool] = False
    headers: ClassVar[dict[str, StrOrPromise]]

    fieldsets = ((None, {"fields": ()}),)  # the page is our own template
    show_full_result_count = False
    sortable_by = ()
    everything: ClassVar[str] = "?"  # query string of the unfiltered list
    own_parameters: ClassVar[tuple[str, ...]] = ()  # of the list's address, which no other list has and no filter
    exported: ClassVar[dict[str, str]] = {}  # fields of an export, and the column of each; without any there is none
    search_fields = ("id",)  # shows the search box; get_search_results() does the search
    id_columns: ClassVar[tuple[str, ...]] = ("pk",)

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("executions/admin.css",)}
        js = (forms.Script("executions/relative_time.js", type="module"),)

    form_media = forms.Media()  # none: its pages have no fields of Django's

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: Any = super().get_queryset(request)  # each model of the ledger has visible_to(), the type of all has not
        seen: QuerySet[Model] = rows.visible_to(request.user)
        return seen.select_related(*(self.related or (None,))).only(*self.columns)

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return SearchedChangeList

    def action_checkbox(self, obj: Model) -> SafeString:
        """Return what Django's does, which renders a template for each row: a tenth of the time of a list."""
        label = text_of_django("Select this object for an action - {}").format(obj)
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            label,
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        """Search for an id in `id_columns`."""
        if not search_term.strip():
            return queryset, False
        pk = parse_uuid(search_term.strip())
        found = reduce(or_, (Q(**{column: pk}) for column in self.id_columns))
        return queryset.filter(found) if pk else queryset.none(), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the user may run actions; False for a single row, whose page has no form to save."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.can_delete and super().has_delete_permission(request, obj)

    def changelist_view(self, request: HttpRequest, extra_context: Context | None = None) -> HttpResponse:
        """Render 503 with advice on filters when the list times out, so that it never looks empty."""
        if request.method != "GET":
            return super().changelist_view(request, extra_context)
        try:
            with statement_timeout(limits.LIST_MS):
                found = self._export(request) or self.redirect_from_list(request)
                response: Any = found or super().changelist_view(request, extra_context)  # one that streams too
        except StatementTimeout:
            return self.render_message(request, "list_timeout", 503, title=_("This took too long"))
        except DatabaseError:
            logger.exception("The list of %s could not be read.", self.opts.model_name)
            return self.render_message(request, "unavailable", 503, title=_("This could not be read"))
        # Django redirects an invalid filter to the unfiltered list, whose rows would look like the filtered ones.
        is_refused = response.get("Location") == f"{request.path}?{ERROR_FLAG}=1"
        return self.invalid_filter_response(request) if is_refused else response

    def _export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse | None:
        """Return the rows as a file if the address asks for it. Raises PermissionDenied."""
        if (kind := request.GET.get(EXPORT)) is None or not self.exported:
            return None
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in exports.TYPES:
            return self.invalid_filter_response(request)
        try:
            return exports.export_response(self, request, kind)
        except IncorrectLookupParameters:
            request.GET = exports.without_export(request)  # type: ignore[assignment]  # a QueryDict as well
            return self.invalid_filter_response(request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Context | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except RowNotFound:
            return self._missing_row_response(request, str(object_id), self.has_view_or_change_permission(request))
        except OperationalError as error:
            if request.method != "GET" or not isinstance(error.__cause__, QueryCanceled):
                raise
            return self.render_message(request, "page_timeout", 503, title=_("This took too long"))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Context | None = None) -> HttpResponse:
        """Redirect to the history on the row's page: Django's own view lists changes by forms, and there are none."""
        return redirect(f"{_address(self.opts, object_id)}#history")

    def invalid_filter_response(self, request: HttpRequest, **extra: object) -> HttpResponse:
        """Render 400 naming the invalid filters. If only the cursor is invalid, redirect to the first page."""
        refused = validation.refusals(self, request, request.GET.dict(), self.own_parameters)
        names = {name for each in refused for name in each.names}
        kept = {name: value for name, value in request.GET.items() if name not in {*names, OLDER, NEWER}}
        if not names:
            return HttpResponseRedirect(f"{request.path}?{urlencode(kept)}" if kept else request.path)
        are_known = all(each.is_known for each in refused)
        title = _("This value is not accepted") if are_known else _("No such filter")
        context = {"title": title, "are_known": are_known, "refused": refused, "kept": urlencode(kept)}
        return self.render_message(request, "invalid_filter", 400, **context | extra)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row. Raises RowNotFound, where Django's own views redirect to the front page."""
        if (row := super().get_object(request, object_id, from_field)) is None:
            raise RowNotFound
        return row

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Context | None = None) -> HttpResponse:
        try:
            return self.delete_row_view(request, object_id, extra_context)
        except RowNotFound:
            return self._missing_row_response(request, object_id, self.has_delete_permission(request))

    def delete_row_view(
        self, request: HttpRequest, object_id: str, extra_context: Context | None = None
    ) -> HttpResponse:
        return super().delete_view(request, object_id, extra_context)

    def _missing_row_response(self, request: HttpRequest, object_id: str, is_permitted: bool) -> HttpResponse:
        if not is_permitted:
            raise PermissionDenied
        return self.not_found_response(request, unquote(object_id))

    def not_found_response(self, request: HttpRequest, id: str) -> HttpResponse:
        return self.render_message(
            request, "not_found", 404, **{"title": _("Not found"), "id": id} | self.deleted_row_context(request, id)
        )

    def deleted_row_context(self, request: HttpRequest, id: str) -> Context:
        """Return template context about a deleted row; by default there is none."""
        return {}

    def render_message(self, request: HttpRequest, page: str, status: int, **extra: object) -> HttpResponse:
        """Render a message in place of the list or of a row's page."""
        everything = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist") + self.everything
        context = self.admin_site.each_context(request) | {"opts": self.opts, "everything": everything} | extra
        return TemplateResponse(request, f"admin/executions/{page}.html", context, status=status)

    def redirect_from_list(self, request: HttpRequest) -> HttpResponse | None:
        """Return a redirect if the request of the list has a page of its own, such as a search for an id."""
        return None

    def present_rows(self, request: HttpRequest, rows: Sequence[Any]) -> Sequence[object]:
        """Return what `_row.html` renders for each row of a page, with as many queries as for one row."""
        return rows

    def render_change_form(
        self,
        request: HttpRequest,
        context: Context,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        title = {"title": str(self.opts.verbose_name).capitalize(), "acts": self.offers(request, obj) if obj else []}
        context.update(title | self.page_context(request, obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def page_context(self, request: HttpRequest, row: Any) -> Context:
        """Return the context of the row's template."""
        raise NotImplementedError  # each admin with a page of its own implements it


def shows_run(request: HttpRequest, row: NodeExecution | ExecutionLog) -> bool:
    """Return whether the user may see the run of a node execution or log line."""
    return can_see(request.user, "workflowexecution", row.workflow_execution.workflow.owner_id)


def _address(opts: "Options[Model]", pk: object) -> str:
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[pk])
