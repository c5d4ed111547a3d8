"""What the ledger refuses, as a tree. Every one is a sentence that says what to do.

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

from typing import Any

from django.db import IntegrityError

from workflows.exceptions import CyclicGraph, HasHistory, StaleObject

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


class InvalidTransition(ValueError):
    """`act` is what was tried ("start"), `state` and `version` what the row was found in, `reason` why."""

    def __init__(self, act: str, state: Any, reason: str = "", version: int | None = None) -> None:
        self.act, self.state, self.reason, self.version = act, str(state), reason, version
        super().__init__(f"Cannot {act} execution in {state} state" + (f": {reason}" if reason else ""))


class ConcurrentExecution(InvalidTransition, IntegrityError):
    """Only one run of a workflow may be running, unless its metadata says `"allow_concurrent": true`."""


class StaleExecution(InvalidTransition):
    """The object is of an earlier attempt than the row: whoever holds it has been replaced and should stop."""


class SecretsUnknown(InvalidTransition):
    """The run had secrets, and they were deleted since or cannot be decrypted: what could hold one is not stored."""


class ImmutableLog(TypeError):
    """A log line is a fact: add another line instead."""

    def __init__(self) -> None:
        super().__init__("A log line is a fact and cannot be changed: add another line instead.")
