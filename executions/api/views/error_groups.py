"""Groups of errors: list, state, merging and splitting, occurrences and history."""

from collections.abc import Callable, Mapping
from typing import ClassVar, cast
from uuid import UUID

import django_filters as df
from django.core.exceptions import ValidationError
from django.db.models import Exists, Model, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from executions.api import merged_group_response
from executions.api.error_group_serializers import (
    ChangeErrorGroupSerializer,
    ErrorGroupChangeSerializer,
    ErrorGroupDetailSerializer,
    ErrorGroupSerializer,
    ErrorOccurrenceSerializer,
    MergeErrorGroupsSerializer,
    NoteSerializer,
    SplitErrorGroupSerializer,
)
from executions.api.filters import visible_groups
from executions.api.list_querysets import columns
from executions.error_groups import group_changes
from executions.models import ErrorFingerprint, ErrorGroup, ErrorGroupChange, ErrorOccurrence, ErrorState
from executions.models.error_group import ErrorGroupQuerySet
from ledgerkit.rest.filters import BooleanFilter, DateTimeFilter, IntegerFilter, MultiChoiceFilter, UUIDFilter
from ledgerkit.rest.idempotency import IdempotencyMixin
from ledgerkit.rest.preconditions import PreconditionsMixin
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope

from .base import QueryMixin

type Body = serializers.BaseSerializer[ErrorGroup] | serializers.BaseSerializer[None]

CHANGE = (Scope.EXECUTIONS_CONTROL, "executions.change_errorgroup")


class ErrorGroupFilters(df.FilterSet):  # type: ignore[misc]  # untyped
    state = MultiChoiceFilter(choices=ErrorState.choices, field_name="state", help_text="One or more states.")
    workflow = UUIDFilter(method="filter_workflow", help_text="Groups with failures of this workflow.")
    assignee = IntegerFilter(field_name="assignee", help_text="Assigned to the user with this id.")
    is_regression = BooleanFilter(help_text="Whether they came back after they were resolved.")
    seen_after = DateTimeFilter(field_name="last_seen", lookup_expr="gte", help_text="Seen then or later.")
    new_after = DateTimeFilter(field_name="first_seen", lookup_expr="gte", help_text="First seen then or later.")

    def filter_workflow(self, queryset: QuerySet[Model], _name: str, value: UUID) -> QuerySet[Model]:
        return queryset.filter(Exists(ErrorFingerprint.objects.filter(group=OuterRef("pk"), workflow=value)))


class GroupView(QueryMixin):
    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(merged_group_response.explain(exc, self.request, self.kwargs))


@extend_schema(tags=["error groups"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listErrorGroups",
        summary="List groups of errors",
        description="Lists error groups, new and reopened ones first. Groups merged into others are left out.",
    ),
)
class ErrorGroupViewSet(IdempotencyMixin, PreconditionsMixin, RowListMixin, GroupView):
    """Groups of equal failures."""

    filterset_class = ErrorGroupFilters
    ordering = ("-opened_at", "-id")
    grants: ClassVar[Mapping[str, tuple[str, str]]] = dict.fromkeys(("change", "merge", "split", "note"), CHANGE)
    response_classes = dict.fromkeys(("change", "merge", "split", "note"), ErrorGroupDetailSerializer)
    shows_the_row_alone = False  # failures do not change the version
    of_action: ClassVar[Mapping[str, type[Body]]] = {
        "list": ErrorGroupSerializer, "change": ChangeErrorGroupSerializer, "merge": MergeErrorGroupsSerializer,
        "split": SplitErrorGroupSerializer, "note": NoteSerializer,
    }  # fmt: skip

    def get_queryset(self) -> ErrorGroupQuerySet:
        groups = visible_groups(self.request)
        return columns(groups) if self.action == "list" else groups

    def get_serializer_class(self) -> type[Body]:
        return self.of_action.get(self.action, ErrorGroupDetailSerializer)

    @extend_schema(
        operation_id="getErrorGroup",
        summary="Read a group of errors",
        description="The group, with the values by which its failures were grouped, its nodes, and its last days.",
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        row = ErrorGroupDetailSerializer(self.get_object()).data
        return Response(row if self.fields is None else {name: row[name] for name in self.fields})

    @extend_schema(
        operation_id="changeErrorGroup",
        summary="Change state or assignee",
        description=(
            "Changes only the fields in the body. A resolved group that fails again is open, and a regression. "
            "`If-Match` takes the `version`, which failures do not change."
        ),
    )
    def change(self, request: Request, pk: UUID) -> Response:
        group = self.get_object()
        values = self._body(request)
        reason = str(values.pop("reason", ""))
        self._act(lambda: group_changes.change(group, reason, **cast("group_changes.Changes", values)))
        return self._response(group)

    @extend_schema(
        operation_id="mergeErrorGroups",
        summary="Merge other groups into this one",
        description="Later failures like those of the other groups belong to this one too.",
    )
    def merge(self, request: Request, pk: UUID) -> Response:
        group = self.get_object()
        values = self._body(request)
        ids = cast("list[UUID]", values["groups"])
        found = visible_groups(request).in_bulk(ids)
        faults = {str(place): [NO_OBJECT] for place, id in enumerate(ids) if id not in found}
        if faults:
            raise serializers.ValidationError({"groups": faults}, code="does_not_exist")
        for each in found.values():
            self.check_object_permissions(request, each)
        self._act(lambda: group_changes.merge(group, list(found.values()), str(values.get("reason", ""))))
        return self._response(group)

    @extend_schema(
        operation_id="splitErrorGroup",
        summary="Split fingerprints off",
        description="Moves fingerprints to a new group, which is returned. Later failures like them belong to it.",
    )
    def split(self, request: Request, pk: UUID) -> Response:
        group = self.get_object()
        values = self._body(request)
        fingerprints, reason = cast("list[UUID]", values["fingerprints"]), str(values.get("reason", ""))
        made = self._act(lambda: group_changes.split(group, fingerprints, reason))
        return Response(ErrorGroupDetailSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="noteErrorGroup",
        summary="Add a note",
        description="Adds a note to the history of the group, with its author.",
    )
    def note(self, request: Request, pk: UUID) -> Response:
        group = self.get_object()
        values = self._body(request)
        self._act(lambda: group_changes.note(group, str(values["text"])))
        return self._response(group)

    def _body(self, request: Request) -> dict[str, object]:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def _act[R](self, act: Callable[[], R]) -> R:
        try:
            return act()
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error

    def _response(self, group: ErrorGroup) -> Response:
        group.refresh_from_db()
        return Response(ErrorGroupDetailSerializer(group).data)


class RowsOfGroupView(RowListMixin, GroupView):
    """Rows of one group."""

    group: ErrorGroup

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        if getattr(self, "action", None) is None:  # 405
            return
        group = visible_groups(request).filter(pk=self.kwargs["pk"]).first()
        if group is None:
            raise NotFound
        self.group = group


@extend_schema(tags=["error groups"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listErrorOccurrences",
        summary="List the failures of a group",
        description="Attempts of runs that failed so, newest first. They go with their runs.",
    ),
)
class OccurrencesOfErrorGroupViewSet(RowsOfGroupView):
    serializer_class = ErrorOccurrenceSerializer
    ordering = ("-happened_at", "-id")

    def get_queryset(self) -> QuerySet[ErrorOccurrence]:
        return columns(ErrorOccurrence.objects.filter(fingerprint__group=self.group))


@extend_schema(tags=["error groups"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listErrorGroupHistory",
        summary="List the history of a group",
        description=(
            "Lists changes with actor, interface and reason, and what the scan found, newest first. "
            "The history cannot be changed."
        ),
    ),
)
class HistoryOfErrorGroupViewSet(RowsOfGroupView):
    serializer_class = ErrorGroupChangeSerializer
    ordering = ("-happened_at", "-id")

    def get_queryset(self) -> QuerySet[ErrorGroupChange]:
        return columns(ErrorGroupChange.objects.filter(group=self.group))


NO_OBJECT = "No object with this id exists."
