"""Filters by a text that somebody types: a tag, words of an error, the name of a failed node, an owner."""

from datetime import datetime
from functools import reduce
from operator import or_

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from executions import limits, run_conditions
from executions.admin.types import JSON
from executions.models.log import INDEXED_LEVELS
from executions.run_conditions import ME
from ledgerkit.admin.list_filters import SEPARATOR, TextFilter
from ledgerkit.admin.lists import Chip
from ledgerkit.db import names

# Parameters that bound a search.
PERIODS = (
    "period", "from", "to", "ended", "ended_between", "newest_runs", "workflow_execution", "node_execution",
)  # fmt: skip
OTHER_LEVELS = gettext_noop(
    "A text is searched in warnings and errors alone, so it is found in no line of the chosen levels. Leave out the "
    "level or the text, or search the lines of one run, where every level is searched."
)


class TagFilter(TextFilter):
    title = _("tag")
    parameter_name = "tag"

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(is_tagged(value))


class SearchedTextFilter(TextFilter):
    """Filter by a part of a text, which a trigram index finds. Without another period it searches the last days."""

    min_length = 3  # a shorter text has no trigram
    refusal = _("A text that is searched for needs three characters or more.")
    max_length = 200
    column: str
    narrowed: JSON | None = None

    def since(self) -> datetime | None:
        """Return from when on it searches; None if another filter of the address bounds the time."""
        if any(self.request.GET.get(name) for name in PERIODS):
            return None
        return run_conditions.searched_since()

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
    """Filter by a text in the error of the run or of a node of it. For a rare text the list adds `narrowed`."""

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        found = run_conditions.ErrorText(self.request.user, value, self.since())
        self.narrowed = {"pk__in": found.ids}
        return queryset.filter(found.condition)


class LineTextFilter(SearchedTextFilter):
    """Filter by a text in the message: of warnings and errors, which have an index, or of every line of one run."""

    title = _("text in the message")
    parameter_name = "text"
    by_row = ("workflow_execution", "node_execution")

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        self._refuse_other_levels()
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

    def _refuse_other_levels(self) -> None:
        """Refuse levels of which no line is searched, so that the list is not empty without a reason."""
        chosen = {level for level in self.request.GET.get("level", "").split(SEPARATOR) if level}
        if not chosen or self._is_of_one_run or chosen & {*INDEXED_LEVELS}:
            return
        raise IncorrectLookupParameters(gettext(OTHER_LEVELS))

    @property
    def _is_of_one_run(self) -> bool:
        return any(self.request.GET.get(name) for name in self.by_row)


class NodeNamePartFilter(TextFilter):
    """Filter by a part of the name of a node. Names are suggested while it is typed."""

    field_template = "admin/executions/filters/node_name.html"
    placeholder = _("a part of its name")


class FailedNodeFilter(NodeNamePartFilter):
    title = _("failed node")
    is_common = False
    parameter_name = "failed_node"
    refusal = _("A part that the names of many nodes have needs three characters or more.")

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        failed = run_conditions.has_failed_node_like(self.request.user, value)
        if failed is None:
            raise IncorrectLookupParameters
        return queryset.filter(failed)


class NodeNameFilter(NodeNamePartFilter):
    title = _("name of the node")
    parameter_name = "node_name"

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        # With a list of ids the planner knows how frequent each one is; with a join it does not.
        named = run_conditions.visible_nodes(self.request.user).filter(names.contains("name", value))
        found = list(named.values_list("id", flat=True)[: limits.VISIBLE_IDS + 1])
        if len(found) > limits.VISIBLE_IDS:  # a page is full soon
            return queryset.filter(names.contains("node__name", value))
        return queryset.filter(node__in=found)


class OwnerFilter(TextFilter):
    title = _("owner of the workflow")
    parameter_name = "owner"
    placeholder = _("me, or a username")
    refusal = _("Give a username in full, or “me”. Only users who own a workflow that you may see are found.")
    is_common = False

    def chips(self, changelist: ChangeList) -> list[Chip]:
        return [
            Chip(each.title, gettext("Me") if each.words == ME else each.words, each.without)
            for each in super().chips(changelist)
        ]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(run_conditions.is_of_owner(self.owner_id(value)))

    def owner_id(self, value: str) -> int:
        """Return the id of the owner. Raises IncorrectLookupParameters."""
        owner = run_conditions.find_owner(self.request.user, value)
        if owner is None:
            raise IncorrectLookupParameters
        return owner


def is_tagged(tag: str) -> Q:
    """Return the condition that a run has this tag."""
    return reduce(or_, (Q(metadata__contains={"tags": [form]}) for form in names.forms(tag)))
