from uuid import UUID

from django.db import transaction
from django.db.models import Q
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from alerts.models import Expectation
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.parameter_names import check_names
from ledgerkit.rest.schema import extend_schema
from tokens.base_views import LedgerView
from tokens.models import Scope
from tokens.permissions import limit_to_token
from workflows.models import Workflow

from .expectation_serializers import ExpectationsSerializer, ShownExpectationSerializer, ShownExpectationsSerializer


class ExpectationsOfWorkflowViewSet(LedgerView, GenericViewSet[Expectation]):
    """The expectations of a workflow, all of them at once: an engine declares them when it starts."""

    http_method_names = METHODS
    serializer_class = ShownExpectationsSerializer
    reads = Scope.EXECUTIONS_READ
    grants = {"replace": (Scope.WORKFLOWS_WRITE, "workflows.change_workflow")}

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        if getattr(self, "action", None) is None:  # 405
            return
        visible = limit_to_token(Workflow.objects.visible_to(request.user).alive(), request, "id")
        workflow = visible.filter(pk=self.kwargs["workflow_id"]).first()
        if workflow is None:
            raise NotFound
        self.check_object_permissions(request, workflow)
        self.workflow = workflow

    def get_serializer_class(self) -> type[Serializer[Expectation]]:
        return ExpectationsSerializer if self.action == "replace" else ShownExpectationsSerializer

    @extend_schema(
        tags=["workflows"],
        operation_id="getWorkflowExpectations",
        summary="Read what is expected of a workflow",
        description="Returns the expectations of the workflow, and since when each of them is missed.",
    )
    def read(self, request: Request, workflow_id: UUID) -> Response:
        check_names(request, ())
        return self._response()

    @extend_schema(
        tags=["workflows"],
        operation_id="replaceWorkflowExpectations",
        summary="Replace what is expected of a workflow",
        description=(
            "Replaces all expectations of the workflow. One that is there already is kept, and still missed if it "
            "was; one that is left out is deleted."
        ),
    )
    def replace(self, request: Request, workflow_id: UUID) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        replace_expectations(self.workflow, body.validated_data["expectations"])
        return self._response()

    def _response(self) -> Response:
        rows = self.workflow.expectations.select_related("miss").order_by("id")
        shown = ShownExpectationSerializer(rows, many=True)
        return Response({"expectations": shown.data})


@transaction.atomic
def replace_expectations(workflow: Workflow, wanted: list[dict[str, object]]) -> None:
    """Make the expectations of the workflow those in `wanted`. Rows that are equal are left as they are."""
    Workflow.objects.select_for_update(no_key=True).get(pk=workflow.pk)  # one writer after another
    unsaved = [Expectation(workflow=workflow, **fields) for fields in wanted]
    there = {definition(row): row for row in workflow.expectations.all()}
    kept = [there[key].pk for key in map(definition, unsaved) if key in there]
    workflow.expectations.filter(~Q(pk__in=kept)).delete()
    for key, row in {definition(row): row for row in unsaved}.items():
        if key not in there:
            row.save()


def definition(row: Expectation) -> tuple[object, ...]:
    return row.kind, row.seconds, row.time, row.time_zone, row.days, row.is_active
