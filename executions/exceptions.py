"""Exceptions of the ledger, as a tree. Each message says what to do. `str(error)` is in English,
`error.sentence` in the language of the page.

ValueError
├── InvalidTransition           the status of the row does not allow the transition
│   ├── ConcurrentExecution     another run of the workflow is running (also Django's IntegrityError)
│   │   └── QueuedExecution     the run is in the queue of its workflow, and it is not its turn
│   ├── StaleExecution          the row is at a later attempt than the object
│   │   └── FencedExecution     the token is that of an attempt that was replaced, or whose lease expired
│   └── SecretsUnknown          the run's secrets are deleted or cannot be decrypted
├── StaleObject                 save() of an object whose row is newer (ledgerkit.db)
└── CyclicGraph                 the edges of a definition form a cycle (workflows)
TypeError
└── ImmutableLog                a log line cannot be changed
ProtectedError
└── HasHistory                  a workflow or node with executions cannot be deleted (workflows)
"""

from uuid import UUID

from django.db import IntegrityError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ledgerkit.db.exceptions import StaleObject, in_english
from workflows.exceptions import CyclicGraph, HasHistory

from .states import ExecutionStatus

__all__ = [
    "ConcurrentExecution",
    "CyclicGraph",
    "FencedExecution",
    "HasHistory",
    "ImmutableLog",
    "InvalidTransition",
    "QueuedExecution",
    "SecretsUnknown",
    "StaleExecution",
    "StaleObject",
]


REFUSED = _("Cannot {act} execution in {state} state")
REFUSED_BECAUSE = _("Cannot {act} execution in {state} state: {reason}")
WAITS_FOR = _("it is queued and waits for execution {run}; start it when that one has ended")
IMMUTABLE_LINE = _("A log line cannot be changed: add another line instead.")
STATUS_LABELS = dict(ExecutionStatus.choices)
# Labels of the actions, for the sentences above and for the history.
ACTS = {
    "create": pgettext_lazy("act", "create"),
    "start": pgettext_lazy("act", "start"),
    "complete": pgettext_lazy("act", "complete"),
    "fail": pgettext_lazy("act", "fail"),
    "cancel": pgettext_lazy("act", "cancel"),
    "skip": pgettext_lazy("act", "skip"),
    "heartbeat": pgettext_lazy("act", "extend the lease of"),
    "retry": pgettext_lazy("act", "retry"),
    "delete": pgettext_lazy("act", "delete"),
    "save": pgettext_lazy("act", "save"),
    "update": pgettext_lazy("act", "update"),
    "add a node to": pgettext_lazy("act", "add a node to"),
    "add a line to": pgettext_lazy("act", "add a line to"),
}


class InvalidTransition(ValueError):
    """A refused transition: `act` is the action ("start"), `state` and `version` are those of the row, `reason` says
    why."""

    def __init__(self, act: str, state: object, reason: object = "", version: int | None = None) -> None:
        self.act, self.state, self.reason, self.version = act, str(state), reason, version
        values = {"act": ACTS.get(act, act), "state": STATUS_LABELS.get(str(state), state), "reason": reason}
        self.sentence = format_lazy(REFUSED_BECAUSE if reason else REFUSED, **values)
        super().__init__(in_english(self.sentence))


class ConcurrentExecution(InvalidTransition, IntegrityError):
    """Another run of the workflow is running, and the metadata does not contain `"allow_concurrent": true`."""


class QueuedExecution(ConcurrentExecution):
    """The run was created to wait, and it is not its turn: `waits_for` is running, or was queued before it."""

    def __init__(self, act: str, state: object, waits_for: UUID, version: int | None = None) -> None:
        self.waits_for = waits_for
        super().__init__(act, state, format_lazy(WAITS_FOR, run=waits_for), version)


class StaleExecution(InvalidTransition):
    """The object belongs to an earlier attempt than the row. Its worker has been replaced and should stop."""


class FencedExecution(StaleExecution):
    """The report has the token of an attempt that was replaced, or was ended because its lease expired. Its worker
    should stop."""


class SecretsUnknown(InvalidTransition):
    """The run's secrets were deleted or cannot be decrypted, so text that may contain one is not stored."""


class ImmutableLog(TypeError):
    """A log line cannot be changed: add another line instead."""

    def __init__(self) -> None:
        self.sentence = IMMUTABLE_LINE
        super().__init__(in_english(IMMUTABLE_LINE))
