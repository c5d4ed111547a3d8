"""The verbs of bulk actions: the permission that each needs, the runs that it can work on, and its call for one run."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from executions.models import BulkVerb, ExecutionStatus, KeptRun, WorkflowExecution
from executions.states import ACTIVE, ENDED
from ledgerkit.types import StrOrPromise

CHANGE, REMOVE = "executions.change_workflowexecution", "executions.delete_workflowexecution"
NOT_RUNNING = tuple(state for state in ExecutionStatus if state != ExecutionStatus.RUNNING)
NOT_KEPT = gettext_noop("It is not kept.")
KEPT = gettext_noop("The run is kept: end that first.")


class Refused(Exception):
    """The verb cannot be called for this run, for a reason that no transition knows."""


@dataclass(frozen=True)
class Verb:
    """`states` are those of the runs that are chosen. `call` takes the run and the reason, and raises Refused or the
    errors of the model's verb."""

    name: BulkVerb
    title: StrOrPromise  # with placeholders for count and items
    call: Callable[[WorkflowExecution, str], object]
    states: tuple[ExecutionStatus, ...] = tuple(ExecutionStatus)
    permission: str = CHANGE
    needs_reason: bool = False
    effect: StrOrPromise = ""
    is_kept: bool | None = None  # whether the chosen runs have the mark that keeps them; None: some may


def _release(run: WorkflowExecution, _reason: str) -> None:
    if not KeptRun.release(run):
        raise Refused(NOT_KEPT)


def _delete(run: WorkflowExecution, _reason: str) -> None:
    if KeptRun.objects.filter(pk=run.pk).exists():
        raise Refused(KEPT)
    run.delete_unless_running()


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            BulkVerb.CANCEL, _("Cancel %(count)d %(items)s"), lambda run, _reason: run.cancel(), ACTIVE,
            effect=_("Their pending and running nodes are cancelled too. This cannot be undone."),
        ),
        Verb(
            BulkVerb.RETRY, _("Retry %(count)d %(items)s"), lambda run, _reason: run.retry(),
            (ExecutionStatus.FAILED,), effect=_("Their failed nodes are retried too; completed ones do not change."),
        ),
        Verb(
            BulkVerb.RERUN, _("Run %(count)d %(items)s again"), lambda run, _reason: run.rerun(), ENDED,
            effect=_("For each, a new pending run with the same input is created, which an engine starts."),
        ),
        Verb(
            BulkVerb.FAIL, _("Mark %(count)d %(items)s as failed"), lambda run, reason: run.fail(reason),
            (ExecutionStatus.RUNNING,), needs_reason=True,
            effect=_("For runs whose engine is gone: their pending nodes are skipped, their running ones cancelled."),
        ),
        Verb(
            BulkVerb.KEEP, _("Keep %(count)d %(items)s"), KeptRun.keep, is_kept=False,
            effect=_("Upkeep does not remove them and their log lines, until they are kept no longer."),
        ),
        Verb(
            BulkVerb.RELEASE, _("Keep %(count)d %(items)s no longer"), _release, is_kept=True,
            effect=_("Upkeep removes them when their time is over, which may be at once."),
        ),
        Verb(
            BulkVerb.DELETE, _("Delete %(count)d %(items)s"), _delete, NOT_RUNNING, REMOVE, needs_reason=True,
            is_kept=False, effect=_("Their nodes, attempts, log lines and history are deleted too."),
        ),
    )
}  # fmt: skip
