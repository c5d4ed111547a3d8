from typing import Any, TypedDict
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins, status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import BaseSerializer

from executions import limits
from executions.api.bulk_serializers import (
    BegunBulkActionSerializer,
    BulkActionRunSerializer,
    BulkActionSerializer,
    NewBulkActionSerializer,
    StopSerializer,
)
from executions.api.filters.bulk_filters import BulkActionRunFilters
from executions.api.filters.filter_document import filtered_by
from executions.api.json_rows import bulk_action_row
from executions.api.list_querysets import columns
from executions.bulk import runner
from executions.bulk.bulk_verbs import VERBS, Verb
from executions.bulk.run_selection import NothingMatches, TooMany, begin, changeable_runs, preview
from executions.models import BulkAction, BulkActionRun, BulkVerb
from ledgerkit.db.timeouts import statement_timeout
from ledgerkit.rest.api_prefix import NAMESPACE
from ledgerkit.rest.idempotency import IdempotencyMixin
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope, Token
from tokens.permissions import is_bound, limit_to_token

from .base import QueryMixin


class NewAction(TypedDict, total=False):
    """The body of a new action."""

    filter: dict[str, object]
    reason: str
    dry_run: bool


CONTROL = (Scope.EXECUTIONS_CONTROL, "executions.change_workflowexecution")


def visible_actions(request: Request) -> QuerySet[BulkAction]:
    """Return the actions of the caller; staff who may view runs see all. A token that is bound to workflows sees its
    own."""
    actions = BulkAction.objects.visible_to(request.user)
    return actions.filter(token_id=request.auth.pk) if is_bound(request) and request.auth else actions


@extend_schema(tags=["bulk actions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listBulkActions",
        summary="List bulk actions",
        description="The caller's own, newest first; staff who may view runs see all.",
    ),
    retrieve=extend_schema(
        operation_id="getBulkAction",
        summary="Read a bulk action",
        description="Returns the progress of the bulk action, and its end.",
    ),
)
class BulkActionViewSet(IdempotencyMixin, RowListMixin, mixins.RetrieveModelMixin, QueryMixin):
    """One verb on many runs."""

    serializer_class = BulkActionSerializer
    response_classes = {"begin": BegunBulkActionSerializer}
    ordering = ("-happened_at", "-id")
    grants = {"begin": CONTROL, "stop": CONTROL}

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return {"begin": NewBulkActionSerializer, "stop": StopSerializer}.get(self.action, self.serializer_class)

    def get_queryset(self) -> QuerySet[BulkAction]:
        actions = visible_actions(self.request)
        return columns(actions) if self.action == "list" else actions

    @extend_schema(
        operation_id="beginBulkAction",
        summary="Change all runs that match a filter",
        description=(
            "Chooses the runs that match `filter` now and whose status allows the action, at most 20,000, and answers "
            "202: they are changed one after another in the background, each in its own transaction and in the name "
            "of the caller. Runs that match later do not belong to it; one that has changed until its turn is refused, "
            "with the reason. `delete` also refuses kept runs. With `dry_run` it answers 200 with the number alone."
        ),
    )
    def begin(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body = serializer.validated_data
        verb = VERBS[BulkVerb(body["action"])]
        self._check_permission(verb)
        if verb.needs_reason and not body.get("reason"):
            raise ValidationError({"reason": ["This action needs a reason."]}, "required")
        with statement_timeout(limits.BULK_MS):
            return self._answer(request, verb, body)

    def _answer(self, request: Request, verb: Verb, body: NewAction) -> Response:
        now, runs = timezone.now(), limit_to_token(changeable_runs(request.user, verb), request)
        chosen, filters = filtered_by(body["filter"], runs, request)
        found = preview(chosen, verb, now)
        shown = {"matching": found.matching, "sample": [run.pk for run in found.sample]}
        if body.get("dry_run"):
            return Response({"id": None, "number": found.chosen, **shown})
        try:
            action = begin(chosen, verb, filters, body.get("reason", ""), now)
        except (TooMany, NothingMatches) as error:
            raise ValidationError({"filter": [str(error)]}) from None
        address = reverse(f"{NAMESPACE}:execution-action", args=[action.pk], request=request)
        answer = {"id": action.pk, "number": action.number, **shown}
        return Response(answer, status.HTTP_202_ACCEPTED, headers={"Location": address})

    @extend_schema(
        operation_id="stopBulkAction",
        summary="Stop a bulk action",
        description="Runs whose turn has not come stay as they are. The same answer if it has ended.",
    )
    def stop(self, request: Request, pk: UUID) -> Response:
        self.get_serializer(data=request.data).is_valid(raise_exception=True)
        action = self.get_object()
        runner.stop(action, request.user.get_username())
        action.refresh_from_db()
        return Response(bulk_action_row(action))

    def _check_permission(self, verb: Verb) -> None:
        """Refuse a session whose user lacks the permission of this verb, which may be another than that of the
        operation."""
        if not isinstance(self.request.auth, Token) and not self.request.user.has_perm(verb.permission):
            message = f"Your account lacks the permission {verb.permission}. Ask an administrator for it."
            self.permission_denied(self.request, message=message)


@extend_schema(tags=["bulk actions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listRunsOfBulkAction",
        summary="List the runs of a bulk action",
        description="Lists the runs in the order of the work, each with its result.",
    ),
)
class RunsOfBulkActionViewSet(RowListMixin, QueryMixin):
    serializer_class = BulkActionRunSerializer
    filterset_class = BulkActionRunFilters
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[BulkActionRun]:
        return columns(BulkActionRun.objects.filter(action=self.action_of_runs))

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        if self.action:
            self.action_of_runs = self._find(request)

    def _find(self, request: Request) -> BulkAction:
        actions = visible_actions(request).filter(pk=self.kwargs["action_id"])
        if (found := actions.first()) is None:
            raise NotFound
        return found
