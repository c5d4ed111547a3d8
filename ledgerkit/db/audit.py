"""Who acts, through what, and why: what is kept with each change of the ledger, of a definition and of a token.

Every entrance says it once, for whatever is changed after it: the middleware of requests, the API once it knows the
caller's token, `manage.py` with the name of the operating system's user. Code in a process of its own says it with
`acting(user=..., reason=...)`; else only that it was in process is known.
"""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Through(TextChoices):
    ADMIN = "admin", _("admin")
    API = "api", _("API")
    COMMAND = "command", _("command")
    IN_PROCESS = "in_process", _("in process")
    SQL = "sql", _("SQL")


@dataclass(frozen=True)
class Actor:
    """`name` is who it is where there is no `user`, such as the operating system's user of a command."""

    through: Through = Through.IN_PROCESS
    user: Any = None
    token: Any = None
    request_id: str = ""
    given_id: str = ""  # the same, where whoever asks chose it: it may hold a secret
    reason: str = ""
    name: str = ""

    def note(self) -> dict[str, str]:
        """Return what is kept of the actor, without the reason."""
        note = {"through": str(self.through), "request_id": self.request_id, "username": self.name}
        if self.user is not None and self.user.pk is not None:
            note |= {"user_id": str(self.user.pk), "username": self.user.get_username()}
        if self.token is not None:
            note |= {"token_id": str(self.token.pk), "token_name": self.token.name}
        return note


NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=NOBODY)


@contextmanager
def act_as(**changes: Any) -> Iterator[None]:
    """Change fields of the Actor for what is done within."""
    before = _actor.set(replace(_actor.get(), **changes))
    try:
        yield
    finally:
        _actor.reset(before)


def set_actor(**changes: Any) -> None:
    """Change fields of the Actor from now on, within whatever acting() is around."""
    _actor.set(replace(_actor.get(), **changes))


def current() -> Actor:
    return _actor.get()


def reason() -> str:
    return _actor.get().reason


def given_id() -> str:
    return _actor.get().given_id


def system_user() -> str:
    """Return the name of the operating system's user, or the number of one that has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


@contextmanager
def audited(using: str | None = None) -> Iterator[None]:
    """Tell the database who acts, for what its triggers write down of the changes within: one transaction."""
    connection = connections[using or DEFAULT_DB_ALIAS]
    with nullcontext() if connection.in_atomic_block else transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute("SELECT definitions_actor(%s)", [json.dumps(current().note() | {"reason": reason()})])
        yield
