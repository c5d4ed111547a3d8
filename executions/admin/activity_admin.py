"""Activity: who did what, across runs, definitions and tokens. Read-only for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from executions.admin import statuses
from executions.admin.base import ReadOnlyAdmin
from executions.admin.error_groups.rows import group_url
from executions.admin.filters import activity_filters
from executions.admin.pagination import KeysetChangeList
from executions.models import Activity, ActivityKind, ErrorGroup, NodeExecution, WorkflowExecution
from executions.models.activity import may_view_activity
from ledgerkit.db.id_ranges import id_range
from ledgerkit.types import StrOrPromise
from tokens.admin import ActivityPage, TokenAdmin

ACTIVITY_COLUMNS = (
    "happened_at", "through", "username", "token_id", "token_name", "reason", "request_id", "kind", "act", "run_id",
    "node_id", "subject_id", "subject_name", "from_status", "to_status",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """An entry of the activity, ready to render. `name` is of the workflow, token or error, `address` its page."""

    done: Activity
    name: str
    node: str
    address: str
    was: str
    now: str
    by_user: str
    by_token: str


class ActivityChangeList(KeysetChangeList):
    def _estimate(self) -> int | None:
        """Return None: the planner's number of rows of a view is too far off."""
        return None


@admin.register(Activity)
class ActivityAdmin(ReadOnlyAdmin):
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "time": _("time"),
        "who": _("who"),
        "act": _("action"),
        "subject": _("of what"),
        "change": _("status"),
        "why": _("reason"),
    }
    list_filter = activity_filters.ALL
    exported: ClassVar[dict[str, str]] = {name: name for name in ("id", *ACTIVITY_COLUMNS)}
    search_help_text = _(
        "The id of a run, a node execution, a workflow, an error group or a token, or its first 8 characters"
    )
    id_columns = ("run_id", "node_id", "subject_id", "token_id")
    related = ()
    keyset = ("id",)
    columns = ACTIVITY_COLUMNS

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        """Search for an id or its beginning. Both cost the same, as not all of these columns have an index."""
        if not (term := search_term.strip()):
            return queryset, False
        if (ids := id_range(term)) is None:
            return queryset.none(), False
        found = reduce(or_, (Q(**{f"{column}__range": ids}) for column in self.id_columns))
        return queryset.filter(found), False

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return ActivityChangeList

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may_view_activity(request.user)

    has_module_permission = has_view_permission

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def present_rows(self, request: HttpRequest, rows: Sequence[Activity]) -> Sequence[ActivityRow]:
        runs = WorkflowExecution.objects.filter(pk__in={row.run_id for row in rows if row.run_id}).order_by()
        nodes = NodeExecution.objects.filter(pk__in={row.node_id for row in rows if row.node_id}).order_by()
        named_runs = dict(runs.values_list("pk", "workflow_name"))
        named_groups = _titles(
            {row.subject_id for row in rows if row.subject_id and row.kind == ActivityKind.ERROR_GROUP}
        )
        named_nodes = dict(nodes.values_list("pk", "node_name"))
        words = statuses.labels()
        return [
            ActivityRow(
                row,
                _name_of(row, named_runs, named_groups),
                named_nodes.get(row.node_id, "") if row.node_id else "",
                page_url(row) if row.run_id in named_runs or not row.run_id else deletion_url(row.run_id),
                words.get(row.from_status or "", ""),
                words.get(row.to_status or "", ""),
                activity_url(user=row.username) if row.username and not row.token_id else "",
                activity_url(token=row.token_id) if row.token_id else "",
            )
            for row in rows
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: object, **kwargs: object) -> HttpResponse:
        """Redirect to the list, which contains everything."""
        return redirect(activity_url())


def _titles(groups: set[UUID]) -> dict[UUID, str]:
    return dict(ErrorGroup.objects.filter(pk__in=groups).order_by().values_list("pk", "title"))


def _name_of(row: Activity, runs: dict[UUID, str], groups: dict[UUID, str]) -> str:
    named = runs.get(row.run_id) if row.run_id else groups.get(row.subject_id) if row.subject_id else None
    return named or row.subject_name or ""


def activity_url(**filters: object) -> str:
    query = urlencode(filters)
    return reverse("admin:executions_activity_changelist") + (f"?{query}" if query else "")


def page_url(row: Activity) -> str:
    """Return the URL of the page of what was changed; "" if it has none."""
    if row.run_id:
        address = reverse("admin:executions_workflowexecution_change", args=[row.run_id])
        return f"{address}?node={row.node_id}#node" if row.node_id else f"{address}#history"
    if row.kind == ActivityKind.BULK_ACTION:
        return reverse("admin:executions_bulkaction_change", args=[row.subject_id])
    if row.kind == ActivityKind.ERROR_GROUP and row.subject_id:
        return group_url(row.subject_id) + "#history"
    return reverse("admin:workflows_definitionchange_changelist") + f"?{urlencode({SEARCH_VAR: row.subject_id})}"


def deletion_url(run: UUID) -> str:
    return reverse("admin:executions_deletion_changelist") + f"?{urlencode({SEARCH_VAR: run})}"


def _activity_of_token(pk: UUID) -> str:
    return activity_url(token=pk)


def _is_seen_by(request: HttpRequest) -> bool:
    return may_view_activity(request.user)


TokenAdmin.activity_pages.append(ActivityPage(_activity_of_token, _is_seen_by))
