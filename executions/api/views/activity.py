from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_view

from executions.api.activity_serializers import ActivitySerializer
from executions.api.filters.activity_filters import ActivityFilters
from executions.api.list_querysets import columns
from executions.models import Activity, ActivityKind
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Token

from .base import QueryMixin


@extend_schema(tags=["activity"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listActivity",
        summary="List who did what",
        description=(
            "Transitions of runs and nodes, notes on runs, deletions of runs, runs that were kept or released, changes "
            "of definitions, tokens and groups of errors, and bulk actions, newest first. For staff: each kind for "
            "those who may view its records; for others the list is empty. A token sees no changes of "
            "tokens, and one that is bound to workflows what was done to these."
        ),
    ),
)
class ActivityViewSet(RowListMixin, QueryMixin):
    """Activity: moves and changes by people and programs."""

    serializer_class = ActivitySerializer
    filterset_class = ActivityFilters
    orderings = {"happened": ("id",)}  # of version 7: by the time
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Activity]:
        rows = Activity.objects.visible_to(self.request.user)
        if isinstance(token := self.request.auth, Token):
            rows = rows.exclude(kind=ActivityKind.TOKEN)
            rows = rows.of_workflows(token.bound_to) if token.bound_to else rows
        return columns(rows, self.fields)
