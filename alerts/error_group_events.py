"""Events of groups of errors: those that are new, and those that came back after they were resolved."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from alerts.events import OLD
from alerts.models import AlertKind
from alerts.rules import Event, facts_of, page
from executions.models import ErrorChangeAct, ErrorFingerprint, ErrorGroup, ErrorGroupChange, ErrorState
from workflows.models import Workflow

GROUP_PAGE = "executions_errorgroup_change"
MAX_GROUPS = 200  # groups in one scan
# The time of a group is that at which its transaction began: one that ended a little later is looked for again.
OVERLAP = timedelta(minutes=2)


def error_group_events(since: datetime, now: datetime) -> Iterator[Event]:
    """Yield an event for each group that was opened since then, by a failure of the last day. Those that were split off
    are no news."""
    split = ErrorGroupChange.objects.filter(group=OuterRef("pk"), act=ErrorChangeAct.SPLIT)
    is_news = Q(is_regression=True) | Q(first_seen__gte=now - OLD) & ~Exists(split)
    opened = ErrorGroup.objects.current().filter(
        is_news, state=ErrorState.OPEN, opened_at__gte=since - OVERLAP, last_seen__gte=now - OLD
    )
    groups = list(opened.order_by("-opened_at", "-id")[:MAX_GROUPS])
    workflows = _newest_workflows(groups)
    return (_event(group, workflows[group.pk]) for group in groups if group.pk in workflows)


def _newest_workflows(groups: list[ErrorGroup]) -> dict[UUID, Workflow]:
    """Return the workflow of each group that failed so last."""
    rows = ErrorFingerprint.objects.filter(group__in=groups).select_related("workflow")
    newest = rows.order_by("group_id", "-last_seen", "-id").distinct("group_id")
    return {row.group_id: row.workflow for row in newest}


def _event(group: ErrorGroup, workflow: Workflow) -> Event:
    kind = AlertKind.ERROR_REGRESSION if group.is_regression else AlertKind.NEW_ERROR
    sentence = _("An error came back after it was resolved.") if group.is_regression else _("A new error.")
    facts = facts_of(
        workflow, sentence, page(GROUP_PAGE, group.pk), error_group_id=str(group.pk), error_message=group.title,
        first_seen=group.first_seen.isoformat(), seen=group.seen,
    )  # fmt: skip
    return Event((kind,), f"error {group.pk} {group.opened_at.isoformat()}", workflow, facts)
