"""Who acts on the ledger, through what, and why: what the history keeps of each move.

Every entrance says it once, for whatever verbs follow: the middleware of requests, the API once it knows the caller's
token, a command. Without a word it is code in some process.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import DateTimeField, Func, TextChoices, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Through(TextChoices):
    ADMIN = "admin", _("admin")
    API = "api", _("API")
    COMMAND = "command", _("command")
    IN_PROCESS = "in_process", _("in process")
    SQL = "sql", _("SQL")


@dataclass(frozen=True)
class Actor:
    through: Through = Through.IN_PROCESS
    user: Any = None
    token: Any = None
    request_id: str = ""
    given_id: str = ""  # the same, where whoever asks chose it: it may hold a secret
    reason: str = ""


NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=NOBODY)


@contextmanager
def acting(**changes: Any) -> Iterator[None]:
    """What is changed of the Actor counts within."""
    before = _actor.set(replace(_actor.get(), **changes))
    try:
        yield
    finally:
        _actor.reset(before)


def identify(**changes: Any) -> None:
    """From now on, within whatever acting() is around."""
    _actor.set(replace(_actor.get(), **changes))


def reason() -> str:
    return _actor.get().reason


def given_id() -> str:
    return _actor.get().given_id


def noted(act: str, reason: str = "", request_id: str | None = None) -> Func:
    """Now, for `updated_at`: the statement that moves a row says by it what the history keeps. `reason` is masked,
    and so is `request_id`, which is the actor's unless it is given."""
    actor = _actor.get()
    note = {
        "act": act,
        "through": str(actor.through),
        "reason": reason,
        "request_id": actor.request_id if request_id is None else request_id,
    }
    if actor.user is not None and actor.user.pk is not None:
        note |= {"user_id": str(actor.user.pk), "username": actor.user.get_username()}
    if actor.token is not None:
        note |= {"token_id": str(actor.token.pk), "token_name": actor.token.name}
    return Func(Now(), Value(json.dumps(note)), function="ledger_noted", output_field=DateTimeField())
