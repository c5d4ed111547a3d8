from drf_spectacular.utils import extend_schema_view

from executions.api.list_querysets import columns
from executions.api.serializers import HistoryEntrySerializer
from executions.querysets import HistoryQuerySet
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema

from .base import RunChildView


@extend_schema(tags=["executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutionHistory",
        summary="List the history of a run",
        description=(
            "Every transition of the run and of its nodes, in order: the actor, the interface, the old and the new "
            "status, the `X-Request-ID` and the reason. It cannot be changed."
        ),
    ),
)
class HistoryOfExecutionViewSet(RowListMixin, RunChildView):
    """Transitions of a run and of its nodes."""

    serializer_class = HistoryEntrySerializer
    orderings = {"happened": ("happened_at", "id")}
    ordering = ("happened_at", "id")

    def get_queryset(self) -> HistoryQuerySet:
        return columns(self.execution.history.visible_to(self.request.user), self.fields)
