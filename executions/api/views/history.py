from typing import Any

from rest_framework import mixins

from executions.api.serializers import HistoryEntrySerializer

from .base import RunChildView


class HistoryOfExecutionViewSet(mixins.ListModelMixin, RunChildView):
    """Every move of a run and of its nodes: who, through what, from where to where, and why."""

    serializer_class = HistoryEntrySerializer
    orderings = {"happened": ("happened_at", "id")}
    ordering = ("happened_at", "id")

    def get_queryset(self) -> Any:
        return self.execution.history.visible_to(self.request.user)
