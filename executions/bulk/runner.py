"""The work of bulk actions, by the upkeep process of each server and by `manage.py upkeep`.

Each run is a transaction: its verb and its result are stored together, or neither is. A process that is killed
loses at most the run that it was at, whose turn comes again. Processes take different runs of an action (SKIP LOCKED).
No transaction holds locks on two runs, so that it deadlocks with no batch of facts.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop, override

from executions.audit import Through, act_as
from executions.exceptions import InvalidTransition
from executions.models import BulkAction, BulkState, BulkVerb, RecordedAct, WorkflowExecution
from executions.querysets import WorkflowExecutionQuerySet
from workflows.querysets import User

from .bulk_verbs import VERBS, Refused, Verb
from .run_selection import changeable_runs

SECONDS = 1.0  # at one action, until it is the turn of the next
RUN_DELETED = gettext_noop("It was deleted meanwhile, or its user may not change it any longer.")
NEW_RUN = gettext_noop("The new run is {id}.")
NOBODY = gettext_noop("its user is gone")
NO_RIGHT = gettext_noop("its user may not do this any longer")
FAILED = gettext_noop("It could not be done, because of an error in the server; its log has more ({name}).")
PAUSE = 0.1  # seconds before a run is tried once more, for those who hold its locks
MOST_CHARACTERS = 1_000  # of an answer
NOT_READ = ("input_data", "output_data", "context", "metadata")

logger = logging.getLogger(__name__)


@dataclass
class TokenOfAction:
    """The token of the confirmation, which may have been deleted since."""

    pk: UUID
    name: str


class Work:
    """The work of one process at one action, in the name of the user who confirmed it."""

    def __init__(self, action: BulkAction) -> None:
        self.action = action

    @cached_property
    def verb(self) -> Verb:
        return VERBS[BulkVerb(self.action.verb)]

    @cached_property
    def user(self) -> User | None:
        users = get_user_model()._default_manager
        return users.filter(pk=self.action.user_id, is_active=True).first() if self.action.user_id else None

    def hindrance(self) -> str:
        """Return why nothing more may be done, "" if it may."""
        if self.user is None:
            return NOBODY
        may_all = self.user.has_perm(self.verb.permission)
        return "" if may_all or self.action.through != Through.ADMIN else NO_RIGHT

    def runs(self) -> WorkflowExecutionQuerySet:
        return changeable_runs(self.user, self.verb) if self.user else WorkflowExecution.objects.none()

    def as_its_user(self) -> AbstractContextManager[None]:
        action = self.action
        token = TokenOfAction(action.token_id, action.token_name) if action.token_id else None
        return act_as(
            through=Through(action.through), user=self.user, name=action.username, token=token, reason=action.reason,
            request_id=action.request_id, given_id="",
        )  # fmt: skip

    @transaction.atomic
    def do_next(self) -> bool:
        """Call the verb for the next run. Return False if no run waits, or other processes hold all that wait."""
        waiting = self.action.runs.filter(state=BulkState.WAITING, action__stopped_at=None).order_by("id")
        row = waiting.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
        if row is None:
            return False
        row.state, row.answer = self._call(row.workflow_execution_id)
        row.done_at = Now()
        row.save(update_fields=["state", "answer", "done_at"])
        return True

    def _call(self, pk: UUID) -> tuple[BulkState, str]:
        """Return the result of the run, and the reason for it."""
        try:
            made = self._call_verb(pk)
        except WorkflowExecution.DoesNotExist:
            return BulkState.REFUSED, RUN_DELETED
        except (InvalidTransition, Refused) as refusal:
            return BulkState.REFUSED, str(refusal)[:MOST_CHARACTERS]
        except ValidationError as error:
            return BulkState.REFUSED, join_faults(error)
        except (
            Exception
        ) as error:  # whatever it is, the other runs have their turn; a lost connection fails again below
            logger.exception("The bulk action %s failed at the run %s.", self.action.pk, pk)
            return BulkState.REFUSED, FAILED.format(name=type(error).__name__)
        return BulkState.DONE, NEW_RUN.format(id=made.pk) if isinstance(made, WorkflowExecution) else ""

    def _call_verb(self, pk: UUID) -> object:
        """Call the verb, and once more after an error of the database that may not come again, such as a deadlock or
        a lock timeout."""
        try:
            return self._call_verb_once(pk)
        except OperationalError as error:
            logger.warning("The bulk action %s tries the run %s once more: %s", self.action.pk, pk, error)
            time.sleep(PAUSE)
            return self._call_verb_once(pk)

    @transaction.atomic
    def _call_verb_once(self, pk: UUID) -> object:
        return self.verb.call(self.runs().defer(*NOT_READ).get(pk=pk), self.action.reason)


def join_faults(error: ValidationError) -> str:
    """Return the faults in English, each in a line of its own; as many whole lines as an answer may have."""
    with override(None):
        text = "\n".join(fault.replace("\n", " ") for fault in error.messages)
    if len(text) <= MOST_CHARACTERS:
        return text
    return text[: MOST_CHARACTERS + 1].rpartition("\n")[0] or text[:MOST_CHARACTERS]


def work_open(progress: Callable[[int], object] = lambda _done: None, seconds: float = SECONDS) -> int:
    """Work at each open action in turns, until nothing is left to do. Return the number of runs."""
    total = 0
    while done := sum(work_at(action, seconds) for action in BulkAction.objects.open()):
        total += done
        progress(total)
    return total


def work_at(action: BulkAction, seconds: float = SECONDS) -> int:
    """Work at an action for so long. Return the number of runs."""
    work, until, done = Work(action), time.monotonic() + seconds, 0
    if reason := work.hindrance():
        with act_as(reason=reason):
            stop(action, reason)
        return 0
    with work.as_its_user():
        while time.monotonic() < until and work.do_next():
            done += 1
    count(action)
    return done


def stop(action: BulkAction, by: str) -> bool:
    """Stop the action: runs whose turn has not come stay as they are. Return whether it was still at work."""
    stopped = BulkAction.objects.filter(pk=action.pk, ended_at=None, stopped_at=None)
    with transaction.atomic():
        is_stopped = bool(stopped.update(stopped_at=Now(), stopped_by=by))
        if is_stopped:
            RecordedAct.record_stop(action.pk)
    count(action)
    return is_stopped


@transaction.atomic
def count(action: BulkAction) -> None:
    """Store how many runs are done and refused, and the end if none is left. The lock comes first, in a statement of
    its own: of two processes that count, the later one sees what the earlier one did."""
    row = BulkAction.objects.select_for_update(no_key=True).get(pk=action.pk)
    found = row.counts()
    row.done, row.refused = found[BulkState.DONE], found[BulkState.REFUSED]
    if row.ended_at is None and (row.stopped_at or not found[BulkState.WAITING]):
        row.ended_at = Now()
    row.save(update_fields=["done", "refused", "ended_at"])
