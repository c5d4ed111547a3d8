"""Exceptions of the ledger, as a tree. Every one is a sentence that says what to do: `str(error)` in English, as the
contract has it, `error.sentence` in the language of the page that shows it.

ValueError
├── InvalidTransition           the move is not allowed from the state that the row is in
│   ├── ConcurrentExecution     another run of the workflow is running (also Django's IntegrityError)
│   ├── StaleExecution          the row went on to another attempt since the object was read
│   └── SecretsUnknown          the run's secrets are gone, and so nothing can be kept clear of them
├── StaleObject                 save() of an object whose row is newer (of `workflows`)
└── CyclicGraph                 the edges of a definition close a circle (of `workflows`)
TypeError
└── ImmutableLog                a log line is a fact: it cannot be changed
ProtectedError
└── HasHistory                  what was executed cannot be deleted (of `workflows`)
"""

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
    "HasHistory",
    "ImmutableLog",
    "InvalidTransition",
    "SecretsUnknown",
    "StaleExecution",
    "StaleObject",
]


REFUSED = _("Cannot {act} execution in {state} state")
REFUSED_BECAUSE = _("Cannot {act} execution in {state} state: {reason}")
FACT = _("A log line is a fact and cannot be changed: add another line instead.")
WORDS = dict(ExecutionStatus.choices)
# What may be tried of a row, as it stands in the sentences above and, where it came true, in the history.
ACTS = {
    "create": pgettext_lazy("act", "create"),
    "start": pgettext_lazy("act", "start"),
    "complete": pgettext_lazy("act", "complete"),
    "fail": pgettext_lazy("act", "fail"),
    "cancel": pgettext_lazy("act", "cancel"),
    "skip": pgettext_lazy("act", "skip"),
    "retry": pgettext_lazy("act", "retry"),
    "delete": pgettext_lazy("act", "delete"),
    "save": pgettext_lazy("act", "save"),
    "update": pgettext_lazy("act", "update"),
    "add a node to": pgettext_lazy("act", "add a node to"),
    "add a line to": pgettext_lazy("act", "add a line to"),
}


class InvalidTransition(ValueError):
    """`act` is what was tried ("start"), `state` and `version` what the row was found in, `reason` why."""

    def __init__(self, act: str, state: object, reason: object = "", version: int | None = None) -> None:
        self.act, self.state, self.reason, self.version = act, str(state), reason, version
        values = {"act": ACTS.get(act, act), "state": WORDS.get(str(state), state), "reason": reason}
        self.sentence = format_lazy(REFUSED_BECAUSE if reason else REFUSED, **values)
        super().__init__(in_english(self.sentence))


class ConcurrentExecution(InvalidTransition, IntegrityError):
    """Only one run of a workflow may be running, unless its metadata says `"allow_concurrent": true`."""


class StaleExecution(InvalidTransition):
    """The object is of an earlier attempt than the row: whoever holds it has been replaced and should stop."""


class SecretsUnknown(InvalidTransition):
    """The run had secrets, and they were deleted since or cannot be decrypted: what could hold one is not stored."""


class ImmutableLog(TypeError):
    """A log line is a fact: add another line instead."""

    def __init__(self) -> None:
        self.sentence = FACT
        super().__init__(in_english(FACT))
