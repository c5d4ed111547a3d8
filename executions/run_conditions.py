"""Conditions of runs that the list of the admin and the API filter by alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    DurationField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, IsNull, LessThan
from django.utils import timezone

from ledgerkit.db import names
from workflows.history import DefinitionChange
from workflows.models import Node, Workflow
from workflows.querysets import User, can_view_all

from . import limits, rollups, sort_keys
from .models import NodeExecution, WorkflowExecution
from .querysets import NodeExecutionQuerySet
from .states import ACTIVE, ExecutionStatus

ME = "me"
NEVER = Value(sort_keys.NEVER, DateTimeField())


def has_failed_node(user: User, node_names: Iterable[str]) -> Q:
    """Return the condition that a node with one of these names failed, as the run had them."""
    return _has_failed_node(user, Q(node_name__in=[form for name in node_names for form in names.forms(name)]))


def has_failed_node_like(user: User, part: str) -> Q | None:
    """Return the condition that a node failed with this part in its name, as it is now, or with this name; None if a
    longer part is needed.

    With a list of names the index finds the nodes. Too many names are not listed: then a page is full soon, unless few
    of these nodes fail. Each character more leaves fewer of them.
    """
    known = visible_nodes(user).filter(names.contains("name", part)).order_by("name").values_list("name", flat=True)
    found = list(known.distinct()[: limits.NODE_NAMES + 1])
    if len(found) <= limits.NODE_NAMES:
        return has_failed_node(user, [part, *found])
    if len(part) < limits.NODE_NAME_PART:
        return None
    return _has_failed_node(user, names.contains("node_name", part))


def visible_nodes(user: User) -> QuerySet[Node]:
    """Return the nodes whose executions the user may see."""
    if can_view_all(user, "executions.view_nodeexecution"):
        return Node.objects.all()
    return Node.objects.filter(workflow__owner=user.pk)


def _has_failed_node(user: User, named: Q) -> Q:
    failed = NodeExecution.objects.visible_to(user).failed().filter(named)
    return Q(Exists(failed.filter(workflow_execution=OuterRef("pk"))))


def searched_since() -> datetime:
    """Return from when on a text is searched for where no filter bounds the time."""
    return timezone.now() - timedelta(days=limits.SEARCHED_DAYS)


@dataclass(frozen=True)
class ErrorText:
    """A text in the error of a run, created at `since` or later (None: ever), or of a failed node of it that the user
    may see.

    `condition` follows the order of a list: where many runs meet it, a page is full soon. For a rare text `ids` are the
    runs that the indexes of the texts find; they may be of others, and are for runs that the condition is met by.
    """

    user: User
    text: str
    since: datetime | None

    @property
    def condition(self) -> Q:
        # PostgreSQL would first read all nodes that have the text for EXISTS; it looks for a node of each run instead,
        # where one can have failed: nodes are counted at the end.
        of_run = self._nodes.filter(workflow_execution=OuterRef("pk")).order_by().values("pk")[:1]
        has_failed = Q(failed_nodes__gt=0) | Q(status__in=ACTIVE)
        return Q(self._recent, self._matches | Q(has_failed, IsNull(Subquery(of_run), False)))

    @property
    def ids(self) -> QuerySet[WorkflowExecution, UUID]:
        runs = WorkflowExecution.objects.filter(self._recent, self._matches).order_by().values_list("pk", flat=True)
        of_nodes = self._nodes.filter(self._recent).order_by().values_list("workflow_execution", flat=True)
        return runs.union(of_nodes, all=True)

    @property
    def _recent(self) -> Q:
        return Q() if self.since is None else Q(created_at__gte=self.since)

    @property
    def _matches(self) -> Q:
        return names.contains("error_message", self.text)

    @property
    def _nodes(self) -> NodeExecutionQuerySet:
        return NodeExecution.objects.visible_to(self.user).failed().filter(self._matches)


def by_workflow_name(text: str) -> Q:
    """Return which runs were created while their workflow had the name `text`; it may have another now."""
    forms = names.forms(text)
    changed = DefinitionChange.of_workflows().filter(subject_name__in=forms).values("subject_id")
    workflows = Workflow.objects.filter(Q(name__in=forms) | Q(pk__in=changed))
    # With a list of ids the planner knows how frequent each one is; with a join it does not.
    return Q(workflow__in=list(workflows.values_list("pk", flat=True)), workflow_name__in=forms)


def find_owner(user: User, username: str) -> int | None:
    """Return the id of the user with this name, or of `user` for "me"; None if `user` sees no workflow of theirs."""
    if username == ME:
        return user.pk
    users = get_user_model()
    named = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__in": names.forms(username)})
    seen = Workflow.objects.visible_to(user).filter(owner__in=named)
    return seen.order_by().values_list("owner", flat=True).first()


def is_of_owner(owner: int) -> Q:
    """Return the condition that the user with this id owns the workflow."""
    # With a list of ids the planner knows how frequent each one is; with a join it does not.
    theirs = Workflow.objects.filter(owner=owner).order_by("-id").values_list("id", flat=True)
    found = list(theirs[: limits.OWNED_WORKFLOWS + 1])
    return Q(workflow__owner=owner) if len(found) > limits.OWNED_WORKFLOWS else Q(workflow__in=found)


def by_starts(since: datetime | None, until: datetime | None, *, in_order: bool) -> Q:
    """Return the bounds of a period of starts on the expression of the index of starts, if few runs started within it
    or the list is in the order of starts; else no bounds. The caller filters by the column as well.

    The index holds runs that never started as well, at a moment long ago (NEVER). The planner reads the ends of its
    histogram from the index, so it would expect hardly any runs on the first day of a ledger. Its statistics of the
    column are right, so only periods for which this index is the best one use the expression.
    """
    if not (since or until):
        return Q()
    bounds = Q(GreaterThanOrEqual(sort_keys.STARTED, since)) if since else Q(GreaterThan(sort_keys.STARTED, NEVER))
    bounds &= Q(LessThan(sort_keys.STARTED, until)) if until else Q()
    return bounds if in_order or _have_few_starts(bounds) else Q()


def _have_few_starts(bounds: Q) -> bool:
    runs = WorkflowExecution.objects.filter(bounds).order_by(sort_keys.STARTED, "id").values_list("pk")
    return not list(runs[limits.FEW_STARTS : limits.FEW_STARTS + 1])


def is_slow() -> Q:
    """Return the condition of runs of these days whose duration, or duration so far, exceeds the p95 of their
    workflow."""
    since = rollups.usual_since()
    found = sorted(rollups.usual_durations(since, rollups.USUAL_RUNS), key=lambda each: -each.completed)
    busiest = found[: limits.SLOW_WORKFLOWS]
    cases = [When(workflow=each.workflow, then=Value(timedelta(seconds=each.p95), DurationField())) for each in busiest]
    if not cases:
        return Q(pk__in=[])
    # For other workflows the limit is NULL, so that both comparisons are false.
    limit = Case(*cases, default=None, output_field=DurationField())
    ended = Q(ended_at__gt=F("started_at") + limit)
    running = Q(status=ExecutionStatus.RUNNING, started_at__lt=Now() - limit)
    return Q(ended | running, created_at__gte=since)


def is_not_slow() -> Q:
    """Return the condition of all other runs, decided for each row: those not in a subquery would be read at once."""
    # Of a run without a start or a limit is_slow() is NULL, and so is its negation.
    return ~Q(Case(When(is_slow(), then=True), default=False, output_field=BooleanField()))
