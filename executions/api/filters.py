"""What a GET may ask for in its address: filters, the order, fewer fields. A parameter that is not known, is empty or
makes no sense is refused by its name, with what is allowed there; and each filter is answered by an index."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

import django_filters as df
from django import forms
from django.db.models import Q
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual
from django.utils.dateparse import parse_datetime
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from executions import keys
from executions.models import ExecutionStatus, LogLevel, NodeExecution, TriggerType
from workflows.base import parse_uuid
from workflows.models import Node, Workflow
from workflows.querysets import may_see_all

from .errors import BadQuery

PAGING = ("cursor", "page_size")
MAX_IDS = 2000
MAX_SECONDS = 10**10
MAX_PERIOD = timedelta(days=31)
PERIOD_NEEDED = {
    "required": f"Lines across runs are listed for a period: give `after` and `before`, {MAX_PERIOD.days} days at most."
}
LEVELS = LogLevel.values  # from the quietest up


def check_names(request: Request, known: Collection[str], several: Collection[str] = ()) -> None:
    """Raises BadQuery, naming each, for parameters that are not `known`, are empty, or are given more than once though
    they are not among the `several`."""
    wrong: dict[str, list[str]] = {}
    for name, values in request.query_params.lists():
        if name not in known:
            wrong[name] = [f"This parameter is not known here. Known are: {', '.join(sorted(known))}."]
        elif "" in values:
            wrong[name] = ["Expected a value; leave the parameter out to ask for all."]
        elif len(values) > 1 and name not in several:
            wrong[name] = ["Expected this parameter once."]
    if wrong:
        raise BadQuery(wrong)


def words(request: Request, name: str, allowed: Collection[str]) -> list[str] | None:
    """The words of a list such as `?fields=id,status`, all of them `allowed`; None where it is not asked for."""
    if name not in request.query_params:
        return None
    found = request.query_params[name].split(",")
    if unknown := [word for word in found if word not in allowed]:
        raise BadQuery(name, f"“{unknown[0]}” is not known here. Known are: {', '.join(allowed)}.")
    return found


# --- Kinds of values ----------------------------------------------------------
class MomentField(forms.Field):
    default_error_messages = {
        "invalid": "Expected a time as in ISO 8601, of the years 1970 to 9999, such as 2026-11-23T09:00:00Z "
        "(in an address, + is written %2B)."
    }

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            moment = parse_datetime(value)
            utc = moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            utc = None
        if utc is None or utc.year < 1970:
            raise forms.ValidationError(self.error_messages["invalid"], "invalid")
        return utc


class SecondsField(forms.FloatField):
    default_error_messages = {"invalid": f"Expected a number of seconds from 0 to {MAX_SECONDS}."}

    def clean(self, value: Any) -> Any:
        number = super().clean(value)
        if number is None:
            return None
        if not 0 <= number <= MAX_SECONDS:
            raise forms.ValidationError(self.error_messages["invalid"], "invalid")
        return timedelta(seconds=number)


class FlagField(forms.Field):
    def to_python(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        if value not in {"true", "false"}:
            raise forms.ValidationError("Expected true or false.", "invalid")
        return bool(value == "true")


class ManyWords(forms.SelectMultiple):
    """`?status=a,b` and `?status=a&status=b`."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return [word for text in data.getlist(name) for word in text.split(",")]


class SeveralField(df.fields.MultipleChoiceField):  # type: ignore[misc]  # django-filter is untyped
    widget = ManyWords


class Several(df.MultipleChoiceFilter):  # type: ignore[misc]  # untyped
    field_class = SeveralField

    def __init__(self, choices: list[tuple[str, Any]], **more: Any) -> None:
        super().__init__(choices=choices, error_messages=_only(choices), **more)

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.filter(**{f"{self.field_name}__in": value}) if value else qs


class Moment(df.IsoDateTimeFilter):  # type: ignore[misc]  # untyped
    field_class = MomentField


class Seconds(df.NumberFilter):  # type: ignore[misc]  # untyped
    field_class = SecondsField

    def get_max_validator(self) -> None:
        return None  # the field has its own


class Flag(df.BooleanFilter):  # type: ignore[misc]  # untyped
    field_class = FlagField

    def __init__(self, **more: Any) -> None:
        super().__init__(widget=forms.TextInput, **more)


class Id(df.UUIDFilter):  # type: ignore[misc]  # untyped
    def __init__(self, **more: Any) -> None:
        super().__init__(error_messages={"invalid": "Expected a UUID."}, **more)


class Text(df.CharFilter):  # type: ignore[misc]  # untyped
    def __init__(self, **more: Any) -> None:
        super().__init__(strip=False, max_length=1000, **more)


class Key(Text):
    """A key of a JSON column by `@>`, which the column's GIN index answers. `as_held` says how a value may be held."""

    def __init__(self, field_name: str, key: str, as_held: Callable[[str], list[Any]] = lambda text: [text]) -> None:
        super().__init__(field_name=field_name)
        self.key, self.as_held = key, as_held

    def filter(self, qs: Any, value: Any) -> Any:
        if not value:
            return qs
        holds = (Q(**{f"{self.field_name}__contains": {self.key: held}}) for held in self.as_held(value))
        return qs.filter(reduce(or_, holds))


def _only(choices: list[tuple[str, Any]]) -> dict[str, str]:
    allowed = ", ".join(value for value, _label in choices)
    return {"invalid_choice": f"“%(value)s” is not known here. Known are: {allowed}."}


def _name_or_number(text: str) -> list[Any]:
    digits = text.removeprefix("-")
    return [text, int(text)] if digits.isascii() and digits.isdigit() and len(digits) < 19 else [text]


def _id(text: str) -> list[Any]:
    id = parse_uuid(text)
    if id is None:
        raise BadQuery("parent", "Expected a UUID.")
    return [str(id)] if str(id) == text else [str(id), text]


# --- Whose --------------------------------------------------------------------
def of_owner(rows: Any, user: Any, column: str) -> Any:
    """What `visible_to` finds by a join, of which the planner knows nothing and may read the whole ledger for nobody's
    rows: by a list of ids it knows how many rows each has. `column` points at workflows or, as `node`, at nodes."""
    if _sees_all(rows, user):
        return rows
    found: Any = Node.objects.filter(workflow__owner=user.pk) if column == "node" else _owned(user)
    ids = list(found.order_by().values_list("id", flat=True)[: MAX_IDS + 1])
    return rows if len(ids) > MAX_IDS else rows.filter(**{f"{column}__in": ids})


def _hidden(request: Request, rows: Any, **workflow: UUID) -> bool:
    """Rows of this workflow are not for the caller, and not worth a look."""
    return not _sees_all(rows, request.user) and not _owned(request.user).filter(**workflow).exists()


def _sees_all(rows: Any, user: Any) -> bool:
    return may_see_all(user, f"executions.view_{rows.model._meta.model_name}")


def _owned(user: Any) -> Any:
    return Workflow.objects.filter(owner=user.pk)


# --- What each list offers ----------------------------------------------------
class WorkflowExecutionFilters(df.FilterSet):  # type: ignore[misc]  # untyped
    status = Several(ExecutionStatus.choices)
    workflow = Id(method="of_workflow")
    trigger_type = Several(TriggerType.choices)
    tag = Key("metadata", "tags", lambda text: [[text]])
    correlation_id = Key("metadata", "correlation_id")
    triggered_by = Key("metadata", "triggered_by")
    schedule_id = Key("metadata", "schedule_id")
    priority = Key("metadata", "priority", _name_or_number)
    parent = Key("context", "parent_execution_id", _id)
    created_after = Moment(field_name="created_at", lookup_expr="gte")
    created_before = Moment(field_name="created_at", lookup_expr="lt")
    started_after = Moment(method="from_start")
    started_before = Moment(method="until_start")
    ended_after = Moment(field_name="ended_at", lookup_expr="gte")
    ended_before = Moment(field_name="ended_at", lookup_expr="lt")
    duration_min = Seconds(method="as_long")
    duration_max = Seconds(method="as_short")
    has_error = Flag(field_name="error_message", lookup_expr="isnull", exclude=True)
    q = Text(field_name="error_message", lookup_expr="icontains", min_length=3)  # shorter ones have no trigram

    def of_workflow(self, queryset: Any, name: str, value: UUID) -> Any:
        return queryset.none() if _hidden(self.request, queryset, pk=value) else queryset.filter(workflow=value)

    def from_start(self, queryset: Any, name: str, value: datetime) -> Any:
        return queryset.filter(GreaterThanOrEqual(keys.STARTED, value))

    def until_start(self, queryset: Any, name: str, value: datetime) -> Any:
        return queryset.filter(LessThan(keys.STARTED, value), GreaterThan(keys.STARTED, keys.NEVER))

    def as_long(self, queryset: Any, name: str, value: timedelta) -> Any:
        return queryset.filter(GreaterThanOrEqual(keys.DURATION, value))

    def as_short(self, queryset: Any, name: str, value: timedelta) -> Any:
        return queryset.filter(
            LessThanOrEqual(keys.DURATION, value), GreaterThanOrEqual(keys.DURATION, timedelta(seconds=0))
        )


class NodeExecutionFilters(df.FilterSet):  # type: ignore[misc]  # untyped
    status = Several(ExecutionStatus.choices)
    node = Id(method="of_node")
    workflow = Id(method="of_workflow")
    created_after = Moment(field_name="created_at", lookup_expr="gte")
    created_before = Moment(field_name="created_at", lookup_expr="lt")

    def of_node(self, queryset: Any, name: str, value: UUID) -> Any:
        return queryset.none() if _hidden(self.request, queryset, nodes=value) else queryset.filter(node=value)

    def of_workflow(self, queryset: Any, name: str, value: UUID) -> Any:
        if _hidden(self.request, queryset, pk=value):
            return queryset.none()
        # As a list of ids the planner knows how common each of them is; of a join it does not.
        return queryset.filter(node__in=list(Node.objects.filter(workflow=value).values_list("id", flat=True)))


class LevelFilters(df.FilterSet):  # type: ignore[misc]  # untyped
    level = Several(LogLevel.choices)
    level_min = df.ChoiceFilter(choices=LogLevel.choices, error_messages=_only(LogLevel.choices), method="from_level")

    def from_level(self, queryset: Any, name: str, value: str) -> Any:
        return queryset.filter(level__in=LEVELS[LEVELS.index(value) :])


class LogsOfExecutionFilters(LevelFilters):
    """`node` is a node or a node execution; `q` is looked for in the lines of this one run."""

    node = Id(method="of_node")
    q = Text(field_name="message", lookup_expr="icontains")
    after = Moment(field_name="timestamp", lookup_expr="gte")
    before = Moment(field_name="timestamp", lookup_expr="lt")

    def of_node(self, queryset: Any, name: str, value: UUID) -> Any:
        run = self.request.parser_context["kwargs"]["execution_id"]
        nodes = NodeExecution.objects.filter(Q(pk=value) | Q(node=value), workflow_execution=run)
        return queryset.filter(node_execution__in=list(nodes.values_list("id", flat=True)))


class LogFilters(LevelFilters):
    """Across runs, only within a period."""

    after = Moment(field_name="timestamp", lookup_expr="gte", required=True, error_messages=PERIOD_NEEDED)
    before = Moment(field_name="timestamp", lookup_expr="lt", required=True, error_messages=PERIOD_NEEDED)

    def filter_queryset(self, queryset: Any) -> Any:
        after, before = self.form.cleaned_data["after"], self.form.cleaned_data["before"]
        if not after < before <= after + MAX_PERIOD:
            raise BadQuery("before", f"Expected a time later than `after`, by at most {MAX_PERIOD.days} days.")
        return super().filter_queryset(queryset)


class QueryFilters(DjangoFilterBackend):  # type: ignore[misc]  # untyped
    """django-filter's for lists alone: a verb finds its row by the address's path, whatever stands after it."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        filters = self.get_filterset(request, queryset, view) if view.action == "list" else None
        if filters is None:
            return queryset
        if not filters.is_valid():
            faults = filters.errors.get_json_data().items()
            raise BadQuery({name: [ErrorDetail(f["message"], f["code"]) for f in found] for name, found in faults})
        return filters.qs
