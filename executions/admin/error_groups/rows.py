"""Groups of errors as rows of lists: with their workflows, and whether they are new."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Max, Min
from django.db.models.fields.json import KT
from django.urls import reverse
from django.utils import timezone

from executions.admin import duration_cells
from executions.models import ErrorFingerprint, ErrorGroup, ErrorState

NEW = timedelta(days=1)  # for so long a group is marked as new


@dataclass(frozen=True, slots=True)
class ErrorGroupRow:
    """A group with the name of one of its workflows, the number of the others, and the place in the program where it
    failed, "" if no traceback tells."""

    group: ErrorGroup
    workflow_name: str
    other_workflows: int
    frame: str = ""

    @property
    def is_new(self) -> bool:
        return is_new(self.group)

    @property
    def ago(self) -> str:
        return duration_cells.format_ago(self.group.last_seen)

    @property
    def first_seen_ago(self) -> str:
        return duration_cells.format_ago(self.group.first_seen)

    @property
    def address(self) -> str:
        return group_url(self.group.pk)


def is_new(group: ErrorGroup) -> bool:
    is_open = group.state == ErrorState.OPEN and not group.is_regression
    return is_open and group.first_seen > timezone.now() - NEW


def group_url(pk: UUID) -> str:
    return reverse("admin:executions_errorgroup_change", args=[pk])


def present_groups(groups: Sequence[ErrorGroup]) -> list[ErrorGroupRow]:
    """Return the rows, with one query."""
    among = ErrorFingerprint.objects.filter(group__in=[group.pk for group in groups]).values("group")
    counted = among.annotate(
        number=Count("workflow", distinct=True), name=Min("workflow__name"), last=Max("last_seen"),
        frame=Min(KT("values__frames__-1")),
    )  # fmt: skip
    found = {row["group"]: (row["name"], row["number"] - 1, row["frame"] or "") for row in counted}
    return [ErrorGroupRow(group, *found.get(group.pk, ("", 0, ""))) for group in groups]
