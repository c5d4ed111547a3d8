"""The runs of a bulk action. They are chosen once, at the confirmation, and stored with it: a run that is created or
begins to match later does not belong to it. One that has changed by the time of its turn is refused by its verb."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from executions import audit, limits, masking, text_limits
from executions.models import BulkAction, BulkActionRun, WorkflowExecution
from executions.querysets import WorkflowExecutionQuerySet
from ledgerkit.db.models import uuid7
from workflows.querysets import User

from .bulk_verbs import Verb

INSERTED_AT_ONCE = 5_000
OLDEST = ("created_at", "pk")

type Filters = Mapping[str, Sequence[str]]


class TooMany(ValueError):
    """More runs match than one action may have."""

    def __init__(self) -> None:
        super().__init__(
            f"More than {limits.BULK_RUNS:,} runs match: narrow the filter, for example by the time of creation."
        )


class NothingMatches(ValueError):
    """No run matches the filter in a state in which the verb can be called."""

    def __init__(self) -> None:
        super().__init__("No matching run has a status that this action can change.")


@dataclass(frozen=True)
class Preview:
    """The runs that match a filter, and those of them that are chosen; each number is at most BULK_RUNS + 1."""

    matching: int
    chosen: int
    sample: list[WorkflowExecution]

    @property
    def matching_is_capped(self) -> bool:
        """Return whether more runs match than were counted."""
        return self.matching > limits.BULK_RUNS

    @property
    def is_too_many(self) -> bool:
        return self.chosen > limits.BULK_RUNS


def changeable_runs(user: User, verb: Verb) -> WorkflowExecutionQuerySet:
    """Return the runs that the user may change: those of own workflows, and with the permission all that are
    visible."""
    runs = WorkflowExecution.objects.visible_to(user)
    return runs if user.has_perm(verb.permission) else runs.filter(workflow__owner_id=user.pk)


def choose(runs: WorkflowExecutionQuerySet, verb: Verb, until: datetime) -> WorkflowExecutionQuerySet:
    """Filter to the runs that the verb can be called for, and that were created until then."""
    chosen = runs.filter(status__in=verb.states, created_at__lte=until)
    return chosen if verb.is_kept is None else chosen.filter(kept_mark__isnull=not verb.is_kept)


def preview(runs: WorkflowExecutionQuerySet, verb: Verb, until: datetime) -> Preview:
    chosen = choose(runs, verb, until)
    sample = list(chosen.order_by("-created_at", "-pk")[: limits.BULK_SAMPLE])
    return Preview(_count(runs.filter(created_at__lte=until)), _count(chosen), sample)


def begin(
    runs: WorkflowExecutionQuerySet, verb: Verb, filters: Filters, reason: str, until: datetime, pk: UUID | None = None
) -> BulkAction:
    """Store the action, in the name of the current actor, with the runs that are chosen now. Raises TooMany,
    NothingMatches, and IntegrityError if there is an action with this id."""
    rows = choose(runs, verb, until).order_by(*OLDEST).values_list("pk", "workflow_name")
    found = dict(rows[: limits.BULK_RUNS + 1])
    if len(found) > limits.BULK_RUNS:
        raise TooMany
    if not found:
        raise NothingMatches
    with transaction.atomic():
        action = BulkAction.objects.create(
            pk=pk or uuid7(),
            verb=verb.name,
            filters=dict(filters),
            number=len(found),
            **_actor(),
            reason=text_limits.cut_to_limits("reason", masking.mask_reason(reason, [*found])),
        )
        BulkActionRun.objects.bulk_create(
            (BulkActionRun(action=action, workflow_execution_id=pk, workflow_name=name) for pk, name in found.items()),
            batch_size=INSERTED_AT_ONCE,
        )
    return action


def _count(runs: WorkflowExecutionQuerySet) -> int:
    return runs.order_by()[: limits.BULK_RUNS + 1].count()


def _actor() -> dict[str, object]:
    """Return the audit fields of the current actor."""
    actor = audit.current()
    has_user = actor.user is not None and actor.user.pk is not None
    return {
        "through": actor.through,
        "user_id": str(actor.user.pk) if has_user and actor.user else "",
        "username": actor.user.get_username() if has_user and actor.user else actor.name,
        "token_id": actor.token and actor.token.pk,
        "token_name": actor.token.name if actor.token else "",
        "request_id": actor.request_id,
    }
