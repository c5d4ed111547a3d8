"""Filters by a text that somebody types: a tag, words of an error, the name of a failed node, an owner."""

from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import limits
from executions.admin.types import JSON
from executions.models import NodeExecution, WorkflowExecution
from executions.models.log import INDEXED_LEVELS
from executions.querysets import NodeExecutionQuerySet
from ledgerkit.admin.list_filters import TextFilter
from ledgerkit.admin.lists import Chip
from ledgerkit.db import names
from workflows.models import Node, Workflow

# Parameters that bound a search.
PERIODS = (
    "period", "from", "to", "ended", "ended_between", "newest_runs", "workflow_execution", "node_execution",
)  # fmt: skip
ME = "me"


class TagFilter(TextFilter):
    title = _("tag")
    parameter_name = "tag"

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        held = (Q(metadata__contains={"tags": [form]}) for form in names.forms(value))
        return queryset.filter(reduce(or_, held))


class SearchedTextFilter(TextFilter):
    """Filter by a part of a text, which a trigram index finds. Without another period it searches the last days."""

    min_length = 3  # a shorter text has no trigram
    max_length = 200
    column: str
    narrowed: JSON | None = None

    def since(self) -> datetime | None:
        """Return from when on it searches; None if another filter of the address bounds the time."""
        if any(self.request.GET.get(name) for name in PERIODS):
            return None
        return timezone.now() - timedelta(days=limits.SEARCHED_DAYS)

    def chips(self, changelist: ChangeList) -> list[Chip]:
        chips = super().chips(changelist)
        if self.since() is None:
            return chips
        words = gettext("“%(text)s” in the last %(days)d days")
        return [
            Chip(each.title, words % {"text": each.words, "days": limits.SEARCHED_DAYS}, each.without) for each in chips
        ]


class NodeErrorFilter(SearchedTextFilter):
    title = _("text in the error")
    parameter_name = "error"

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        since = self.since()
        recent = Q() if since is None else Q(created_at__gte=since)
        return queryset.filter(recent, names.contains("error_message", value))


class RunErrorFilter(NodeErrorFilter):
    """Filter by a text in the error of the run or of a node of it.

    The condition follows the list's order: where many runs meet it, a page is full soon. For a rare text the list adds
    `narrowed`, the ids that the indexes of the texts find (see RunChangeList).
    """

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        since = self.since()
        recent = Q() if since is None else Q(created_at__gte=since)
        said = names.contains("error_message", value)
        nodes = NodeExecution.objects.visible_to(self.request.user).filter(said)
        runs = WorkflowExecution.objects.filter(recent, said).order_by().values("pk")
        of_nodes = nodes.filter(recent).order_by().values("workflow_execution")
        self.narrowed = {"pk__in": runs.union(of_nodes, all=True)}
        return queryset.filter(recent, said | Q(Exists(nodes.filter(workflow_execution=OuterRef("pk")))))


class LineTextFilter(SearchedTextFilter):
    """Filter by a text in the message: of warnings and errors, which have an index, or of every line of one run."""

    title = _("text in the message")
    parameter_name = "text"
    by_row = ("workflow_execution", "node_execution")

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        since = self.since()
        indexed = Q() if self._is_of_one_run else Q(level__in=INDEXED_LEVELS)
        recent = Q() if since is None else Q(timestamp__gte=since)
        return queryset.filter(indexed, recent, names.contains("message", value))

    def chips(self, changelist: ChangeList) -> list[Chip]:
        chips = super().chips(changelist)
        if self._is_of_one_run:
            return chips
        words = gettext("%(text)s, in warnings and errors")
        return [Chip(each.title, words % {"text": each.words}, each.without) for each in chips]

    @property
    def _is_of_one_run(self) -> bool:
        return any(self.request.GET.get(name) for name in self.by_row)


class FailedNodeFilter(TextFilter):
    title = _("failed node")
    is_common = False
    parameter_name = "failed_node"
    placeholder = _("its whole name")

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        failed = NodeExecution.objects.visible_to(self.request.user).failed()
        return queryset.filter(Exists(_with_name(failed, value).filter(workflow_execution=OuterRef("pk"))))


class NodeNameFilter(TextFilter):
    title = _("name of the node")
    parameter_name = "node_name"
    placeholder = _("its whole name")

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        # With a list of ids the planner knows how frequent each one is; with a join it does not.
        nodes = Node.objects.filter(name__in=names.forms(value)).values_list("id", flat=True)
        return queryset.filter(node__in=list(nodes[: limits.VISIBLE_IDS]))


class OwnerFilter(TextFilter):
    title = _("owner of the workflow")
    parameter_name = "owner"
    placeholder = _("me, or a username")
    is_common = False

    def chips(self, changelist: ChangeList) -> list[Chip]:
        return [
            Chip(each.title, gettext("Me") if each.words == ME else each.words, each.without)
            for each in super().chips(changelist)
        ]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        owner = self.request.user.pk if value == ME else self._find_owner(value)
        # With a list of ids the planner knows how frequent each one is; with a join it does not.
        theirs = Workflow.objects.filter(owner=owner).order_by("-id").values_list("id", flat=True)
        found = list(theirs[: limits.OWNED_WORKFLOWS + 1])
        if len(found) > limits.OWNED_WORKFLOWS:
            return queryset.filter(workflow__owner=owner)
        return queryset.filter(workflow__in=found)

    def _find_owner(self, username: str) -> int:
        """Return the id of a user who owns a workflow that the reader may see. Raises IncorrectLookupParameters."""
        users = get_user_model()
        named = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__in": names.forms(username)})
        seen = Workflow.objects.visible_to(self.request.user).filter(owner__in=named)
        owner = seen.order_by().values_list("owner", flat=True).first()
        if owner is None:
            raise IncorrectLookupParameters
        return owner


def _with_name(rows: NodeExecutionQuerySet, name: str) -> NodeExecutionQuerySet:
    return rows.filter(node_name__in=names.forms(name))
