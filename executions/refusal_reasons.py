"""Reasons why a transition is refused and what to do instead: the text after the colon of an InvalidTransition."""

from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ledgerkit.types import StrOrPromise
from workflows.retry_config import retries_in

from .states import ExecutionStatus

if TYPE_CHECKING:
    from .models import NodeExecution

CHANGED = _("it changed since it was read; read it again")
ANOTHER_RUNS = _(
    "another execution of this workflow is running; wait for its end, cancel it, "
    "or create a new one with metadata.allow_concurrent true"
)
VERBS_ALONE = _("save() does not change the state; use its verbs, such as start()")
PURGED = _(
    "its secrets have been deleted, as it ended long ago, so they could not be masked in new text; "
    "record a new execution"
)
LOST = _(
    "its secrets cannot be decrypted, so they could not be masked; "
    "put the key that encrypted them back into EXECUTIONS['SECRETS_KEYS']"
)
CANCEL_FIRST = _("cancel it first, so that its engine is notified")
RUN_IS = _("its run is {state}")
START_THE_RUN = _("its run has not started: start the run first")
RETRY_THE_RUN = _("its run is {state}; retry the run, which retries its failed nodes too")
OUT_OF_RETRIES = _("it has used {used} of {most} retries; raise max_retries in the node's retry_config to allow more")
NODE_OUT_OF_RETRIES = _(
    "its node “{node}” has used {used} of {most} retries; raise max_retries in the node's retry_config to allow more"
)
OVERRIDE_NEEDS_REASON = _("a retry beyond max_retries needs a reason, which is kept in the history.")
UNKNOWN_TOKEN = _("the token belongs to no attempt of this row; give the one that start() returned")
FENCED = _("the token is of attempt {ours} and the row is at attempt {its}: another worker has it, so stop")
STARTED_BY_ANOTHER = _("another worker has started this attempt, so stop")
LAPSED = _("the lease of this attempt expired and it was ended, so stop")
REPLACED = _("this is attempt {ours} and the row is at attempt {its}; read it again")


def _still_running(nodes: int) -> StrOrPromise:
    return ngettext_lazy("{count} of its nodes is still running", "{count} of its nodes are still running", nodes)


ONE_STILL_RUNNING, SOME_STILL_RUNNING = _still_running(1), _still_running(2)
RUN_HINTS = {
    ("start", ExecutionStatus.PENDING): START_THE_RUN,
    ("retry", ExecutionStatus.FAILED): RETRY_THE_RUN,
}


def still_running(nodes: int) -> object:
    return format_lazy(ONE_STILL_RUNNING if nodes == 1 else SOME_STILL_RUNNING, count=nodes)


def out_of_retries(node: "NodeExecution") -> object:
    """Return the reason for a node execution that is retried by itself."""
    return format_lazy(OUT_OF_RETRIES, used=node.retry_count, most=node.max_retries)


def node_out_of_retries(name: object, used: int, retry_config: object) -> object | None:
    """Return the reason why a run cannot be retried because of a failed node, None if the node has a retry left."""
    most = retries_in(retry_config)
    return format_lazy(NODE_OUT_OF_RETRIES, node=name, used=used, most=most) if used >= most else None


def attempt_replaced(ours: int, its: int) -> object:
    """Return the reason for an object of attempt `ours` whose row is at a later attempt."""
    return format_lazy(REPLACED, ours=ours, its=its)


def token_replaced(ours: int, its: int) -> object:
    """Return the reason for a report with the token of attempt `ours` whose row is at a later attempt."""
    return format_lazy(FENCED, ours=ours, its=its)


def run_is(state: ExecutionStatus, act: str) -> object:
    """Return the reason why `act` on a node execution is refused while its run is in `state`, and what works
    instead."""
    hint = RUN_HINTS.get((act, state), RUN_IS)
    return format_lazy(hint, state=state.label)
