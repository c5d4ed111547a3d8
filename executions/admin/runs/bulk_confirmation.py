"""Actions on all runs that match the filters of the list: the links below the list, and the page that counts the runs,
shows the newest of them, and asks for a reason before the action begins."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from executions import limits
from executions.admin import statuses
from executions.admin.base import ReadOnlyAdmin
from executions.admin.filters import validation
from executions.admin.filters.presets import VIEW
from executions.admin.filters.time_filters import FromToFilter
from executions.admin.pagination import FIND, NEWER, OLDER
from executions.admin.runs.changelist import RunChangeList
from executions.bulk.bulk_verbs import VERBS, Verb
from executions.bulk.run_selection import NothingMatches, Preview, TooMany, begin, preview
from executions.models import BulkAction, BulkVerb, WorkflowExecution
from executions.querysets import WorkflowExecutionQuerySet
from ledgerkit.admin.confirmation import MAX_REASON, is_confirmed, reason
from ledgerkit.db.models import parse_uuid, uuid7
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

NO_FILTERS = {VIEW, OLDER, NEWER, FIND}
ENDED = {"ended", "ended_between"}
NO_RUNS = Preview(0, 0, [])
GROWN = gettext_lazy("More runs match by now than were counted: look at the number again.")
REASON_NEEDED = gettext_lazy("Nothing was done: give a reason.")


@dataclass(frozen=True)
class Link:
    title: object
    address: str


@dataclass(frozen=True)
class ConfirmationFields:
    """The fields that a confirmation sends back: the time of the count, its number, and the id that the action will
    have, so that the form that is sent twice begins one action."""

    until: datetime
    number: int
    pk: UUID

    @classmethod
    def from_request(cls, request: HttpRequest) -> "ConfirmationFields":
        now, digits = timezone.now(), request.POST.get("number", "")[:9]
        sent = _parse_time(request.POST.get("until", ""))
        number = int(digits) if digits.isascii() and digits.isdigit() else 0
        return cls(min(sent or now, now), number, parse_uuid(request.POST.get("id")) or uuid7())


def bulk_links(request: HttpRequest) -> list[Link]:
    """Return the links to the actions that the user may do, with the filters of the list."""
    query = request.GET.copy()
    for name in NO_FILTERS & query.keys():
        del query[name]
    if ENDED & query.keys() and not set(FromToFilter.fields) & query.keys():
        query["time"] = "ended"  # what a period that is typed on the page is of
    kept = f"?{query.urlencode()}" if query else ""
    return [
        Link(BulkVerb(verb.name).label, bulk_url(verb.name) + kept)
        for verb in VERBS.values()
        if request.user.has_perm(verb.permission)
    ]


def bulk_url(verb: str) -> str:
    return reverse("admin:executions_bulk", args=[verb])


def bulk_view(model_admin: ReadOnlyAdmin, request: HttpRequest, verb: str) -> HttpResponse:
    """Show what the action would do; once it is confirmed, begin it and show its page."""
    found = VERBS.get(verb)  # type: ignore[call-overload]  # a text that may be none of the keys
    if found is None:
        raise Http404(_("There is no such action."))
    if not (model_admin.has_view_permission(request) and request.user.has_perm(found.permission)):
        raise PermissionDenied(found.permission)
    if request.method == "GET" and (given := without_empty(request.GET)) != request.GET:
        return redirect(f"{request.path}?{given.urlencode()}")  # of fields of the period that nobody filled in
    try:
        with statement_timeout(limits.BULK_MS):
            return _answer(model_admin, request, found)
    except IncorrectLookupParameters:
        return model_admin.invalid_filter_response(request)
    except StatementTimeout:
        return model_admin.render_message(request, "list_timeout", 503, title=_("This took too long"))


def without_empty(query: QueryDict) -> QueryDict:
    given = query.copy()
    for name in [name for name, value in query.items() if not value]:
        del given[name]
    return given


def _answer(model_admin: ReadOnlyAdmin, request: HttpRequest, verb: Verb) -> HttpResponse:
    fields = ConfirmationFields.from_request(request)
    if is_confirmed(request) and (known := BulkAction.objects.visible_to(request.user).filter(pk=fields.pk).first()):
        return redirect(action_url(known))
    runs, changelist = filtered_runs(model_admin, request)
    if not changelist.chips:  # as over the API
        return _page(model_admin, request, verb, NO_RUNS, fields, changelist, "")
    found = preview(runs, verb, fields.until)
    error = ""
    if is_confirmed(request):
        error = _fault(request, verb, found, fields)
        if not error:
            return _begin(request, runs, verb, fields)
    return _page(model_admin, request, verb, found, fields, changelist, error)


def filtered_runs(model_admin: ReadOnlyAdmin, request: HttpRequest) -> tuple[WorkflowExecutionQuerySet, RunChangeList]:
    """Return the runs of the list with the filters of the address, on all of its pages, and the list itself. Raises
    IncorrectLookupParameters."""
    if validation.invalid_parameters(model_admin, request, request.GET.dict(), model_admin.own_parameters):
        raise IncorrectLookupParameters
    changelist = cast("RunChangeList", model_admin.get_changelist_instance(request))
    return cast("WorkflowExecutionQuerySet", changelist.narrow(changelist.queryset)), changelist


def _fault(request: HttpRequest, verb: Verb, found: Preview, fields: ConfirmationFields) -> str:
    """Return why the action cannot begin, "" if it can."""
    if verb.needs_reason and not reason(request):
        return str(REASON_NEEDED)
    return str(GROWN) if found.chosen > fields.number else ""


def _begin(
    request: HttpRequest, runs: WorkflowExecutionQuerySet, verb: Verb, fields: ConfirmationFields
) -> HttpResponse:
    filters = {name: values for name, values in request.GET.lists() if name not in NO_FILTERS}
    try:
        action = begin(runs, verb, filters, reason(request), fields.until, fields.pk)
    except IntegrityError:  # the same form was sent at the same moment
        action = BulkAction.objects.visible_to(request.user).get(pk=fields.pk)
    except (TooMany, NothingMatches):  # others changed the runs since they were counted
        return redirect(request.get_full_path())
    return redirect(action_url(action))


def action_url(action: BulkAction) -> str:
    return reverse("admin:executions_bulkaction_change", args=[action.pk])


def _page(
    model_admin: ReadOnlyAdmin,
    request: HttpRequest,
    verb: Verb,
    found: Preview,
    fields: ConfirmationFields,
    changelist: RunChangeList,
    error: str,
) -> HttpResponse:
    items = ngettext("workflow execution", "workflow executions", found.chosen)
    counted = str(verb.title) % {"count": found.chosen, "items": items}
    context = {
        "title": counted if changelist.chips else BulkVerb(verb.name).label,
        "verb": verb,
        "found": found,
        "fields": fields,
        "id": fields.pk,
        "chips": changelist.chips,
        "period": next((spec for spec in changelist.filter_specs if isinstance(spec, FromToFilter)), None),
        "others": [(name, value) for name, value in request.GET.items() if name not in FromToFilter.fields],
        "error": error,
        "most": limits.BULK_RUNS,
        "left_out": found.matching - found.chosen,
        "states": [statuses.label(state) for state in verb.states],
        "rows": [(run, statuses.row_badge(run), _run_url(run)) for run in found.sample],
        "reason": reason(request),
        "max_reason": MAX_REASON,
        "back": reverse("admin:executions_workflowexecution_changelist") + f"?{request.GET.urlencode() or 'view=all'}",
        "opts": model_admin.opts,
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/executions/bulk_preview.html", admin.site.each_context(request) | context)


def _run_url(run: WorkflowExecution) -> str:
    return reverse("admin:executions_workflowexecution_change", args=[run.pk])


def _parse_time(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and found.tzinfo else None
