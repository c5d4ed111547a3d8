from uuid import UUID

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from executions.api.serializers import KeepSerializer, KeptSerializer
from executions.models import KeptRun
from ledgerkit.rest.parameter_names import check_names
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope

from .base import RunChildView

CHANGE = (Scope.EXECUTIONS_CONTROL, "executions.change_workflowexecution")


class KeepOfExecutionViewSet(RunChildView):
    """The mark of a run that retention does not remove."""

    serializer_class = KeptSerializer
    grants = {"keep": CHANGE, "release": CHANGE}

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in self.grants and "If-Match" in request.headers:
            self.check_version(self.execution)

    def get_serializer_class(self) -> type[KeptSerializer] | type[KeepSerializer]:
        return KeepSerializer if self.action == "keep" else KeptSerializer

    @extend_schema(
        tags=["executions"],
        operation_id="getExecutionKeep",
        summary="Read whether a run is kept",
        description="A kept run, with its log lines, is not removed by retention.",
    )
    def read(self, request: Request, execution_id: UUID) -> Response:
        check_names(request, ())
        return Response(KeptSerializer.row(KeptRun.objects.filter(pk=self.execution.pk).first()))

    @extend_schema(
        tags=["executions"],
        operation_id="keepExecution",
        summary="Keep a run",
        description="Retention does not remove the run from now on. A `reason` replaces the one of an earlier call.",
    )
    def keep(self, request: Request, execution_id: UUID) -> Response:
        self.check_object_permissions(request, self.execution)
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        kept = KeptRun.keep(self.execution, body.validated_data.get("reason") or "")
        return Response(KeptSerializer.row(kept))

    @extend_schema(
        tags=["executions"],
        operation_id="releaseExecution",
        summary="Release a kept run",
        description="Retention removes the run when its time is over. 204 for a run that is not kept, too.",
    )
    def release(self, request: Request, execution_id: UUID) -> Response:
        self.check_object_permissions(request, self.execution)
        KeptRun.release(self.execution)
        return Response(status=status.HTTP_204_NO_CONTENT)
