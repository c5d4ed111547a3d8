"""The list of workflows, with columns about their runs."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from ledgerkit.admin.lists import StrictChangeList
from workflows.models import Workflow


@runtime_checkable
class ColumnsOfRuns(Protocol):
    """Columns about the runs of the listed workflows, provided by the app that has the runs."""

    @property
    def css(self) -> Sequence[str]: ...

    def load(self, workflows: list[UUID]) -> None: ...

    @property
    def columns(self) -> Sequence[Callable[[Workflow], str]]: ...


class PagesChangeList(StrictChangeList):
    """Link a workflow's name to its page of runs instead of the form, if the user may see runs."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then the data of the columns about runs, for all rows at once."""
        super().get_results(request)
        for column in self.list_display:
            if isinstance(columns := getattr(column, "__self__", None), ColumnsOfRuns):
                columns.load([row.pk for row in self.result_list])
                return

    def url_for_result(self, result: Model) -> str:
        return reverse("admin:workflows_workflow_page", args=[result.pk])
