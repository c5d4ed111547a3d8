"""Shared parts of the views: query parameters, transitions of a row, rows of one run."""

from collections.abc import Collection, Mapping
from copy import copy
from functools import cache, cached_property
from typing import Any, ClassVar, cast
from uuid import UUID

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from executions import audit, request_body_masking, sort_keys, text_limits
from executions.api import archived_run_response, list_querysets
from executions.api.action_serializers import (
    CompleteSerializer,
    FailSerializer,
    HeartbeatSerializer,
    ReasonSerializer,
    RetrySerializer,
    StartSerializer,
)
from executions.api.row_lookups import PARENT, visible
from executions.api.serializers import LeaseSerializer
from executions.models import WorkflowExecution
from executions.querysets import can_see
from executions.secrets import masked_request_body
from ledgerkit.db.bounded_rows import RowsOf
from ledgerkit.db.row_lookup import RowByKey, RowLookup
from ledgerkit.rest.filters import names_of_several
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.idempotency import IdempotencyMixin
from ledgerkit.rest.parameter_names import PAGING, check_names, parse_name_list
from ledgerkit.rest.preconditions import PreconditionsMixin
from ledgerkit.rest.query_params import BadQuery, ListFilterBackend
from tokens.base_views import LedgerView
from tokens.models import Scope

NEWEST = ("-created_at", "-id")
BY_TIME = {"timestamp": ("timestamp", "id")}
UNFILTERED = {"ordering", "page_size", "cursor"}
KEYS = {"by_start": sort_keys.STARTED, "by_duration": sort_keys.DURATION}
WORKFLOW_OF_RUN_ROW = "workflow_execution__workflow_id"  # lookup from a row of a run to the workflow


class QueryMixin(LedgerView, GenericViewSet[Any]):
    """Query parameters of a GET: `filterset_class`, `orderings`, `?fields=` and, for a single row, `?expand=`.

    `orderings` maps names to keysets, `ordering` is the default.
    """

    http_method_names = METHODS
    filter_backends = [ListFilterBackend]
    reads = Scope.EXECUTIONS_READ
    filterset_class: object = None
    orderings: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    expandable: ClassVar[tuple[str, ...]] = ()
    ordering: tuple[str, ...] = ()
    order_annotations: ClassVar = {name: key.output_field for name, key in KEYS.items()}
    fields: list[str] | None = None
    expand: Collection[str] = ()

    def read_query(self, request: Request) -> None:
        if self.action not in {"list", "retrieve"}:
            return
        filterset = self.filterset_class if self.action == "list" else None
        filters, several = getattr(filterset, "base_filters", {}), names_of_several(filterset)
        known = [*PAGING, *(["ordering"] if self.orderings else [])] if self.action == "list" else []
        expand = ["expand"] if self.action == "retrieve" and self.expandable else []
        check_names(request, ["fields", *known, *expand, *filters], ["fields", "expand", *several])
        allowed = self.get_serializer_class().Meta.fields  # type: ignore[attr-defined]  # the stubs know less than the views that this is mixed into
        self.fields = parse_name_list(request, "fields", allowed)
        self.expand = parse_name_list(request, "expand", self.expandable) or ()
        if wish := request.query_params.get("ordering"):
            self.ordering = self._keyset(wish)

    def _keyset(self, wish: str) -> tuple[str, ...]:
        keyset = self.orderings.get(wish.removeprefix("-"))
        if keyset is None:
            allowed = ", ".join(f"{name}, -{name}" for name in self.orderings)
            raise BadQuery("ordering", f"Expected one of: {allowed}.")
        return tuple(f"-{name}" for name in keyset) if wish.startswith("-") else keyset

    def filter_queryset(self, queryset: Any) -> Any:
        """Filter and annotate the rows of a GET. Payloads that `?fields=` leaves out are not read; those of a list are
        left out before (list_querysets.py)."""
        if self.action not in {"list", "retrieve"} or isinstance(queryset, RowsOf):
            return queryset
        rows = super().filter_queryset(queryset)
        if (key := self.ordering[0].removeprefix("-")) in KEYS:
            rows = rows.annotate(**{key: KEYS[key]})
        is_whole = self.action == "list" or self.fields is None
        return rows if is_whole else list_querysets.without_others(rows, self.fields or ())

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(archived_run_response.explain(exc, self.request, self.kwargs))

    def get_serializer_context(self) -> dict[str, object]:
        return {**super().get_serializer_context(), "fields": self.fields}


class MaskedBodyMixin(IdempotencyMixin):
    """Mixin of views of a run and of its rows. Texts of reports are made storable, large bodies masked as they are
    read."""

    def to_storable_body(self, body: object) -> object:
        return text_limits.make_storable(body)

    def masked_body(self, body: object) -> object:
        self.work.callback(masked_request_body.forget)
        return request_body_masking.mask_body(body, self._run_id_in_path())

    def _run_id_in_path(self) -> UUID | None:
        """Return the run's id in the address, or None where a run is created."""
        kwargs: dict[str, UUID] = self.kwargs  # type: ignore[attr-defined]  # the stubs know less than the views that this is mixed into
        return kwargs.get("execution_id") or kwargs.get("pk")


VERBS: dict[str, type[serializers.BaseSerializer[Any]]] = {
    "start": StartSerializer,
    "heartbeat": HeartbeatSerializer,
    "complete": CompleteSerializer,
    "fail": FailSerializer,
    "cancel": ReasonSerializer,
    "retry": RetrySerializer,
}


def grants_of_verbs(permission: str) -> dict[str, tuple[str, str]]:
    """Return, for each of VERBS, the scope that a token needs and the permission that a session's user needs. An engine
    reports, an operator controls."""
    controls = {"cancel", "retry"}
    return {
        verb: (Scope.EXECUTIONS_CONTROL if verb in controls else Scope.EXECUTIONS_REPORT, permission) for verb in VERBS
    }


@cache
def _serializer_with_fields(kind: type[serializers.BaseSerializer[None]]) -> serializers.Serializer[None]:
    """Return a serializer whose copies share its fields: to build them takes twice as long as to validate a body."""
    made = cast("serializers.Serializer[None]", kind())
    made.fields  # noqa: B018  # builds them
    return made


class TransitionViewMixin(MaskedBodyMixin, PreconditionsMixin, QueryMixin):
    """Actions that change the status of a row. `serializer_classes` maps actions to serializers other than
    `serializer_class`, `lookups` those on one row to those of row_lookups.py."""

    lookup_value_converter = "uuid"
    grants: ClassVar[Mapping[str, tuple[str, str]]]
    serializer_class: Any
    serializer_classes: ClassVar[dict[str, type[serializers.BaseSerializer[Any]]]]
    lookups: ClassVar[Mapping[str, RowLookup[Any]]]
    response_classes: ClassVar[Mapping[str, type[serializers.BaseSerializer[Any]]]]  # for the schema

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        kind: type[serializers.BaseSerializer[Any]] = self.serializer_classes.get(self.action, self.serializer_class)
        return kind

    @cached_property
    def named_row(self) -> RowByKey[Any] | None:  # type: ignore[override]  # read once
        """The row, by the lookup of the action if it has one. `?fields=` is read by the queryset."""
        is_partial = self.action == "retrieve" and "fields" in self.request.query_params
        lookup = None if is_partial else self.lookups.get(self.action)
        return None if lookup is None else RowByKey(lookup, [self.kwargs["pk"]])

    def get_object(self) -> Any:
        if self.named_row is None:
            return super().get_object()
        row = visible(self.request, self.named_row.row)
        self.check_object_permissions(self.request, row)
        if "HTTP_IF_MATCH" in self.request.META:
            self.check_version(row)
        return row

    def row_and_body(self, request: Request) -> tuple[Any, dict[str, Any]]:
        """Return the row and the validated body."""
        body = copy(_serializer_with_fields(self.serializer_classes[self.action]))  # type: ignore[arg-type]  # a class has a hash
        body.initial_data = request.data
        body.is_valid(raise_exception=True)
        return self.get_object(), body.validated_data

    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: UUID) -> Response:
        row, body = self.row_and_body(request)
        token = row.start(**body)
        return Response(self.serializer_class.row(row) | {"token": token})

    @action(detail=True, methods=["post"])
    def heartbeat(self, request: Request, pk: UUID) -> Response:
        row, body = self.row_and_body(request)
        return Response(LeaseSerializer(row.heartbeat(**body)).data)

    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: UUID) -> Response:
        row, body = self.row_and_body(request)
        row.complete(**body)
        return Response(self.serializer_class.row(row))

    @action(detail=True, methods=["post"])
    def fail(self, request: Request, pk: UUID) -> Response:
        row, body = self.row_and_body(request)
        row.fail(**body)
        return Response(self.serializer_class.row(row))

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        row, body = self.row_and_body(request)
        with audit.act_as(reason=body.get("reason") or ""):
            row.cancel(at=body.get("at"))
        return Response(self.serializer_class.row(row))

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: UUID) -> Response:
        row, body = self.row_and_body(request)
        with audit.act_as(reason=body.get("reason") or ""):
            row.retry(at=body.get("at"), override_max_retries=body["override_max_retries"])
        return Response(self.serializer_class.row(row))


class RunChildView(MaskedBodyMixin, PreconditionsMixin, QueryMixin):
    """Views of rows of one run, under `executions/{execution_id}/`. A run that the caller may not see is not found; a
    write may name its version by If-Match."""

    is_of_run = True
    parents: ClassVar[Mapping[str, RowLookup[WorkflowExecution]]] = {}  # lookups of the run, by action

    @cached_property
    def named_row(self) -> RowByKey[WorkflowExecution]:  # type: ignore[override]  # read once
        return RowByKey(self.parents.get(self.action, PARENT), [self.kwargs["execution_id"]])

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        self.execution = visible(request, self.named_row.row)
        if self.action == "create" and "HTTP_IF_MATCH" in request.META:
            self.check_version(self.execution)

    def lists_all(self, model: str) -> bool:
        """Return whether the list is that of all rows of the run, which the caller may see."""
        is_whole = self.action == "list" and self.request.query_params.keys() <= UNFILTERED
        return is_whole and can_see(self.request.user, model, self.execution.workflow.owner_id)

    def get_serializer_context(self) -> dict[str, object]:
        return {**super().get_serializer_context(), "execution": getattr(self, "execution", None)}
