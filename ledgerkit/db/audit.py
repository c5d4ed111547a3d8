"""The actor of a change: who changes the ledger, a definition or a token, through which interface and why.

The middleware, the API (once the token is known) and `manage.py` (with the name of the system user) set the actor once
for all changes that follow. Other code uses `act_as(user=..., reason=...)`; without it, only "in process" is recorded.
"""

import getpass
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TypedDict, Unpack
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser


class Through(TextChoices):
    ADMIN = "admin", _("admin")
    API = "api", _("API")
    COMMAND = "command", _("command")
    IN_PROCESS = "in_process", _("in process")
    SQL = "sql", _("SQL")


class Token(Protocol):
    """A token of the API, of whatever model."""

    pk: UUID
    name: str


class Changes(TypedDict, total=False):
    """Fields of an Actor that change."""

    through: Through
    user: "AbstractBaseUser | AnonymousUser | None"
    token: Token | None
    request_id: str
    given_id: str
    reason: str
    name: str


class ActorColumns(TypedDict, total=False):
    """Values of the audit fields of a row (workflows.history.AuditFields)."""

    through: str
    user_id: str
    username: str
    token_id: UUID | None
    token_name: str
    reason: str
    request_id: str


class Actor(msgspec.Struct, frozen=True):
    """The actor of a change. `name` identifies an actor without a `user`, such as the system user of a command."""

    through: Through = Through.IN_PROCESS
    user: "AbstractBaseUser | AnonymousUser | None" = None
    token: Token | None = None
    request_id: str = ""
    given_id: str = ""  # the request id if the client chose it: it may contain a secret
    reason: str = ""
    name: str = ""

    @property
    def has_text(self) -> bool:
        """Return whether it has a text that may contain a secret."""
        return bool(self.reason or self.given_id)

    @property
    def display_name(self) -> str:
        """Return the name of the user, else of the token; empty if nobody is known."""
        user = self.user.get_username() if self.user is not None and self.user.pk is not None else self.name
        return user or (self.token.name if self.token else "")

    def columns(self) -> ActorColumns:
        """Return the audit fields of a row that is written without a trigger, with the texts as they are."""
        has_user = self.user is not None and self.user.pk is not None
        return {
            "through": self.through,
            "user_id": str(self.user.pk) if self.user and has_user else "",
            "username": self.user.get_username() if self.user and has_user else self.name,
            "token_id": self.token.pk if self.token else None,
            "token_name": self.token.name if self.token else "",
            "reason": self.reason,
            "request_id": self.request_id,
        }

    def note(self, **more: object) -> str:
        """Return the actor as JSON for the audit record, without the reason. `more` are fields to add or to replace."""
        note = {"through": str(self.through), "request_id": self.request_id, "username": self.name}
        if self.user is not None and self.user.pk is not None:
            note |= {"user_id": str(self.user.pk), "username": self.user.get_username()}
        if self.token is not None:
            note |= {"token_id": str(self.token.pk), "token_name": self.token.name}
        return json.dumps(note | more)


NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=NOBODY)
current: Callable[[], Actor] = _actor.get


@contextmanager
def act_as(**changes: Unpack[Changes]) -> Iterator[None]:
    """Change fields of the current Actor within the block."""
    before = _actor.set(msgspec.structs.replace(current(), **changes))
    try:
        yield
    finally:
        _actor.reset(before)


def set_actor(**changes: Unpack[Changes]) -> None:
    """Change fields of the current Actor until the end of the enclosing act_as() block."""
    _actor.set(msgspec.structs.replace(current(), **changes))


def system_user() -> str:
    """Return the name of the system user, or its number if it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


@contextmanager
def audit_writes(using: str | None = None) -> Iterator[None]:
    """Pass the actor to the database for its audit triggers. The block is one transaction."""
    connection = connections[using or DEFAULT_DB_ALIAS]
    with nullcontext() if connection.in_atomic_block else transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute("SELECT definitions_actor(%s)", [current().note(reason=current().reason)])
        yield
