"""Filter sets of the lists of lines."""

from datetime import timedelta
from uuid import UUID

import django_filters as df
from django.db.models import Model, Q, QuerySet

from executions.models import LogLevel, NodeExecution
from executions.models.log import INDEXED_LEVELS
from ledgerkit.db.names import contains, nfc
from ledgerkit.rest.filters import (
    ContainsFilter,
    DateTimeFilter,
    IntegerFilter,
    MultiChoiceFilter,
    TextFilter,
    UUIDFilter,
    invalid_choice_messages,
)
from ledgerkit.rest.query_params import BadQuery

from .filtersets import StrictFilterSet

MAX_PERIOD = timedelta(days=31)
PERIOD_NEEDED = {
    "required": f"Lines across runs are listed for a period: give `after` and `before`, {MAX_PERIOD.days} days at most."
}
LEVELS = LogLevel.values  # in ascending order


class LevelFilters(StrictFilterSet):
    level = MultiChoiceFilter(LogLevel.choices, help_text="One or more levels.")
    level_min = df.ChoiceFilter(
        choices=LogLevel.choices,
        error_messages=invalid_choice_messages(LogLevel.choices),
        method="filter_level",
        help_text="This level and above.",
    )

    def filter_level(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        return queryset.filter(level__in=LEVELS[LEVELS.index(value) :])


class LogsOfExecutionFilters(LevelFilters):
    """`node` is a node or a node execution; `q` searches the lines of this run."""

    node = UUIDFilter(method="filter_node", help_text="The id of a node.")
    attempt = IntegerFilter(field_name="attempt", help_text="An attempt of the node executions, and of the run.")
    source = TextFilter(method="filter_source", help_text="The source that wrote the lines.")
    q = ContainsFilter(field_name="message", help_text="A text in the message.")
    after = DateTimeFilter(field_name="timestamp", lookup_expr="gte", help_text="At this time or later.")
    before = DateTimeFilter(field_name="timestamp", lookup_expr="lt", help_text="Before this time.")

    def filter_source(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        return queryset.filter(source=nfc(value))

    def filter_node(self, queryset: QuerySet[Model], name: str, value: UUID) -> object:
        run = self.request.parser_context["kwargs"]["execution_id"]
        nodes = NodeExecution.objects.filter(Q(pk=value) | Q(node=value), workflow_execution=run)
        return queryset.filter(node_execution__in=list(nodes.values_list("id", flat=True)))


class LogFilters(LevelFilters):
    """Across runs, only within a period."""

    needed = ("after", "before")
    after = DateTimeFilter(
        field_name="timestamp",
        lookup_expr="gte",
        required=True,
        error_messages=PERIOD_NEEDED,
        help_text="At this time or later.",
    )
    before = DateTimeFilter(
        field_name="timestamp",
        lookup_expr="lt",
        required=True,
        error_messages=PERIOD_NEEDED,
        help_text="Before this time.",
    )

    q = ContainsFilter(
        method="filter_text",
        min_length=3,
        help_text="A text in the message of warnings and errors; other lines are not searched across runs.",
    )

    def filter_text(self, queryset: QuerySet[Model], name: str, value: str) -> object:
        """Search the lines whose messages have an index."""
        return queryset.filter(contains("message", value), level__in=INDEXED_LEVELS)

    def filter_queryset(self, queryset: QuerySet[Model]) -> object:
        after, before = self.form.cleaned_data["after"], self.form.cleaned_data["before"]
        if not after < before <= after + MAX_PERIOD:
            raise BadQuery("before", f"Expected a time later than `after`, by at most {MAX_PERIOD.days} days.")
        return super().filter_queryset(queryset)
