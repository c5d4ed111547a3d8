from typing import Any

from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins

from executions.api.serializers import HistoryEntrySerializer
from ledgerkit.rest.schema import extend_schema

from .base import RunChildView


@extend_schema(tags=["executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutionHistory",
        summary="List what happened to a run",
        description=(
            "Every move of the run and of its nodes, in order: who made it, through what, from where to where, "
            "under which `X-Request-ID`, and why. Nobody can change it."
        ),
    ),
)
class HistoryOfExecutionViewSet(mixins.ListModelMixin, RunChildView):
    """Every move of a run and of its nodes: who, through what, from where to where, and why."""

    serializer_class = HistoryEntrySerializer
    orderings = {"happened": ("happened_at", "id")}
    ordering = ("happened_at", "id")

    def get_queryset(self) -> Any:
        return self.execution.history.visible_to(self.request.user)
