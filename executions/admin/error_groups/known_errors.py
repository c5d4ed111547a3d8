"""The group of the error of a failed run or node, and whether it is new, for their pages."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from executions.admin.types import User
from executions.error_groups.fingerprints import make_fingerprint
from executions.error_groups.scan import is_late
from executions.models import (
    ErrorFingerprint,
    ErrorGroup,
    ErrorOccurrence,
    ErrorRule,
    ExecutionStatus,
    NodeExecution,
    WorkflowExecution,
)

from .rows import ErrorGroupRow


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """The group of an error, None if no failure like it was seen. Until a scan has recorded this failure, those that
    were seen are others."""

    row: ErrorGroupRow | None
    is_recorded: bool = False

    @property
    def is_first(self) -> bool:
        return self.row is None or (self.is_recorded and self.row.group.seen == 1)


@dataclass(frozen=True, slots=True)
class FailureTexts:
    """An error as a page has read it: of a node, or of a run."""

    run: UUID
    workflow: UUID
    node: UUID | None
    node_name: str
    message: str | None
    traceback: str | None


def find_known(user: User, error: FailureTexts) -> KnownGroup | None:
    """Return what is known of the error: by its occurrence, else, until a scan has recorded it, by its texts. None if
    the user may not see groups, or the last scan of failures is too old."""
    if not user.has_perm("executions.view_errorgroup"):
        return None
    found = _fingerprints(user, error).first()
    if found is None:
        return None if is_late() else KnownGroup(None)
    return KnownGroup(ErrorGroupRow(found.group, "", 0), is_recorded=getattr(found, "is_recorded", False))


def _fingerprints(user: User, error: FailureTexts) -> QuerySet[ErrorFingerprint]:
    """Return the fingerprint of the error, first that which was recorded. One workflow has few."""
    recorded = ErrorOccurrence.objects.filter(workflow_execution=error.run, node_execution=error.node)
    is_recorded = Exists(recorded.filter(fingerprint=OuterRef("pk")))
    groups = ErrorGroup.objects.visible_to(user).values("pk")
    rows = ErrorFingerprint.objects.filter(workflow=error.workflow, group__in=groups).annotate(is_recorded=is_recorded)
    found = rows.filter(Q(is_recorded=True) | Q(digest__in=_digests(error)))
    return found.select_related("group__assignee").order_by("-is_recorded", "-last_seen", "-id")


def _digests(error: FailureTexts) -> list[str]:
    """Return the digests by all rules: that of the workflow need not be read."""
    return [make_fingerprint(error.message, error.traceback, error.node_name, rule).digest for rule in ErrorRule]


def of_run(user: User, run: WorkflowExecution, first: NodeExecution | None, message: str | None) -> KnownGroup | None:
    """Return what is known of the failure of a run: of the node that failed first, with `error` and `traceback`."""
    if first is not None:
        error, traceback = getattr(first, "error", None), getattr(first, "traceback", None)
        return find_known(user, FailureTexts(run.pk, run.workflow_id, first.pk, first.node_name, error, traceback))
    if run.status != ExecutionStatus.FAILED:
        return None
    return find_known(user, FailureTexts(run.pk, run.workflow_id, None, "", message, None))


def of_node(user: User, node: NodeExecution, message: str | None, traceback: str | None) -> KnownGroup | None:
    if node.status != ExecutionStatus.FAILED:
        return None
    run = node.workflow_execution
    return find_known(user, FailureTexts(run.pk, run.workflow_id, node.pk, node.node_name, message, traceback))
