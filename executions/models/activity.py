"""Activity: what people and programs did, read from the records of transitions, deletions, changes, bulk actions,
notes, error groups and kept runs."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import F, Func, IntegerField, OuterRef, Q, Subquery, UUIDField
from django.db.models.lookups import In, IsNull
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from executions import partitions
from executions.exceptions import ACTS
from executions.states import ExecutionStatus
from tokens.models import Token
from workflows.history import AuditFields, ChangeAct, ChangedKind
from workflows.querysets import User, can_view_all

from .bulk_action import BulkVerb
from .error_group import ErrorGroup
from .recorded_act import RecordedActName
from .run_note import NoteAct
from .workflow_execution import WorkflowExecution

LAST_USE = timedelta(minutes=2)  # the last use of a token is written once a minute
# Names of the acts in the language of the page.
SHOWN_ACTS = {
    **dict(BulkVerb.choices), **dict(ChangeAct.choices), **dict(NoteAct.choices), **dict(RecordedActName.choices),
    "new": pgettext_lazy("act", "new"),
    "regression": pgettext_lazy("act", "came back"),
    "acknowledge": pgettext_lazy("act", "acknowledge"),
    "mute": pgettext_lazy("act", "mute"),
    "resolve": pgettext_lazy("act", "resolve"),
    "reopen": pgettext_lazy("act", "open again"),
    "assign": pgettext_lazy("act", "assign"),
    "merge": pgettext_lazy("act", "merge"),
    "split": pgettext_lazy("act", "split"),
    **ACTS,
}  # fmt: skip


class ActivityKind(models.TextChoices):
    EXECUTION = "execution", _("execution")
    DELETION = "deletion", _("deletion of an execution")
    BULK_ACTION = "bulk_action", _("bulk action")
    NOTE = "note", _("note")
    ERROR_GROUP = "error_group", _("error group")
    WORKFLOW = "workflow", _("workflow")
    NODE = "node", _("node")
    EDGE = "edge", _("edge")
    TOKEN = "token", _("token")  # not a secret: the word


OF_DEFINITIONS = [str(kind) for kind in ChangedKind]
PERMISSIONS: dict[str, list[str]] = {
    "executions.view_workflowexecution": [ActivityKind.EXECUTION, ActivityKind.BULK_ACTION, ActivityKind.NOTE],
    "executions.view_errorgroup": [ActivityKind.ERROR_GROUP],
    "executions.view_deletion": [ActivityKind.DELETION],
    "workflows.view_definitionchange": OF_DEFINITIONS,
}


def may_view_activity(user: User) -> bool:
    """Return whether the user, as staff, may view any kind of activity."""
    return any(map(user.has_perm, PERMISSIONS))


class ActivityQuerySet(models.QuerySet["Activity"]):
    def visible_to(self, user: User) -> "ActivityQuerySet":
        """Filter to the kinds whose records the user, as staff, may view; none for others."""
        kinds = [kind for needed, kinds in PERMISSIONS.items() if can_view_all(user, needed) for kind in kinds]
        rows = self.filter(kind__in=kinds)
        return rows if can_view_all(user, "executions.view_nodeexecution") else rows.filter(node_id=None)

    def by_user(self, usernames: Collection[str]) -> "ActivityQuerySet":
        """Filter to what users did without a token, by their names at that time: these rows have an index in the
        history."""
        return self.filter(username__in=usernames, token_id=None).exclude(username="")

    def by_token(self, pk: UUID) -> "ActivityQuerySet":
        """Filter by a token. The time of its last use bounds the search: it may be long ago."""
        last = Token.objects.filter(pk=pk).values_list("last_used_at", flat=True).first()
        bound = {"id__lt": partitions.bound(last + LAST_USE)} if last else {}
        return self.filter(token_id=pk, **bound)

    def of_workflows(self, pks: Collection[UUID]) -> "ActivityQuerySet":
        """Filter to definitions of these workflows, to their runs, deleted ones too, and to error groups of these
        workflows alone."""
        # A lookup by key for each row: with IN or EXISTS below OR, all runs of the workflows would be read first.
        workflow = WorkflowExecution.objects.filter(pk=OuterRef("run_id")).order_by().values("workflow")
        groups = ErrorGroup.objects.of_workflows_alone(Q(workflow__in=pks)).order_by().values("pk")
        # The array is built once, before the rows are read: a workflow has few groups.
        place = Func(ArraySubquery(groups), F("subject_id"), function="array_position", output_field=IntegerField())
        of_groups = Q(IsNull(place, False), kind=ActivityKind.ERROR_GROUP)
        return self.filter(Q(subject_id__in=pks) | of_groups | Q(In(Subquery(workflow, UUIDField()), list(pks))))


class Activity(AuditFields):
    """A view of the database (sql/activity_error_groups.sql). The ids are ordered by time, and so are its rows.

    `run_id` and `node_id` name an execution. `subject_id` and `subject_name` name a workflow, a token, the workflow of
    a deleted run, a bulk action or an error group."""

    kind = models.CharField(_("kind"), choices=ActivityKind)
    act = models.CharField(_("act"))
    run_id = models.UUIDField(_("workflow execution"), null=True)
    node_id = models.UUIDField(_("node execution"), null=True)
    subject_id = models.UUIDField(_("id"), null=True)
    subject_name = models.TextField(_("name"), null=True)  # noqa: DJ001  # as the view has it
    from_status = models.CharField(_("from"), choices=ExecutionStatus, null=True)  # noqa: DJ001  # the same
    to_status = models.CharField(_("to"), choices=ExecutionStatus, null=True)  # noqa: DJ001  # the same

    objects = ActivityQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "activity"
        verbose_name = _("activity")
        verbose_name_plural = _("activity")
        default_permissions = ()
        ordering = ["-id"]

    @property
    def shown_act(self) -> object:
        return SHOWN_ACTS.get(self.act, self.act)

    def __str__(self) -> str:
        return f"{self.act}: {self.kind}"
