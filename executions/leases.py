"""Leases of attempts. `start()` may name a worker and a lease in seconds, and returns the token of the attempt.

The worker extends the lease by heartbeats, and gives the token with its reports. A worker whose attempt was replaced,
or ended by upkeep because the lease expired, changes nothing and has to stop (FencedExecution). The token is
compared before the transition, which matches the attempt and the status itself: nothing can come in between.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import names

from . import refusal_reasons
from .exceptions import FencedExecution, InvalidTransition
from .states import ExecutionStatus

if TYPE_CHECKING:
    from .models.base import Execution
    from .models.lease import Lease

MAX_WORKER = 200  # characters
MAX_SECONDS = 86_400
WORKER_LENGTH = _("a worker has 1 to 200 characters.")
SECONDS = _("a lease has 1 to 86400 seconds.")


def check_terms(worker: str, seconds: int | None) -> None:
    """Raise ValidationError, on `worker` or `lease_seconds`, for a name or a number that no lease has."""
    if seconds is not None and not 0 < seconds <= MAX_SECONDS:
        raise ValidationError({"lease_seconds": SECONDS})
    if len(worker) > MAX_WORKER:
        raise ValidationError({"worker": WORKER_LENGTH})
    if worker and (fault := names.find_error(worker)):
        raise ValidationError({"worker": fault})


def grant(row: "Execution", worker: str, seconds: int | None) -> UUID:
    """Store the lease of the attempt that has just started. Return its token."""
    lease = row.leases_of_attempts().create(
        attempt=row.attempt, worker=worker, seconds=seconds, expires_at=_end(seconds)
    )
    token: UUID = lease.token
    return token


def extend(row: "Execution", token: UUID, seconds: int | None = None) -> "Lease":
    """Extend the lease by its own seconds, or by other ones from now on. Return it.

    Raises FencedExecution if the token is not that of the present attempt or the lease has lapsed, InvalidTransition if
    the attempt has ended otherwise.
    """
    check_terms("", seconds)
    lease = check(row, "heartbeat", token)
    # Upkeep may end the attempt at this moment: it sets `lapsed_at` of the same row, under its lock.
    seconds = seconds or lease.seconds
    values = {"heartbeat_at": Now(), "expires_at": _end(seconds), "seconds": seconds}
    if not row.leases_of_attempts().filter(pk=lease.pk, lapsed_at=None).update(**values):
        lease.refresh_from_db()
        raise _fenced_error("heartbeat", _present(row), lease)
    lease.refresh_from_db(fields=["heartbeat_at", "expires_at", "seconds"])
    return lease


def report[R](row: "Execution", act: str, token: UUID, transition: Callable[[], R]) -> R:
    """Make the transition that a worker reports, and return what it returns. Raises FencedExecution if the token is not
    that of the row's attempt, also if the attempt was ended or replaced while the transition waited for the row. A
    report about a node may have the token of its run too, which is then the row."""
    check(row, act, token)
    try:
        return transition()
    except InvalidTransition:
        check(row, act, token)
        raise


def check(row: "Execution", act: str, token: UUID) -> "Lease":
    """Return the lease of the present attempt. Raises FencedExecution if the token is not that of the attempt, or the
    lease has lapsed; for a heartbeat InvalidTransition unless the attempt is running."""
    lease: Lease | None = row.leases_of_attempts().filter(token=token).first()
    present = _present(row)
    if lease is None or lease.attempt != present.attempt or lease.lapsed_at is not None:
        raise _fenced_error(act, present, lease)
    if act == "heartbeat" and present.status != ExecutionStatus.RUNNING:
        raise InvalidTransition(act, present.status, version=present.version)
    return lease


def _present(row: "Execution") -> "Execution":
    """Return status, attempt and version of the row as it is now; `row` may be older, and is not changed."""
    present: Execution = type(row)._base_manager.only("status", "attempt", "version").get(pk=row.pk)
    return present


def _fenced_error(act: str, row: "Execution", lease: "Lease | None") -> FencedExecution:
    reason = fence_reason(lease.attempt if lease else None, row.attempt)
    return FencedExecution(act, row.status, reason, row.version)


def fence_reason(ours: int | None, its: int) -> object:
    """Return why the token of attempt `ours`, None if it is of no attempt, is refused by a row at attempt `its`."""
    if ours is None:
        return refusal_reasons.UNKNOWN_TOKEN
    return refusal_reasons.token_replaced(ours, its) if ours != its else refusal_reasons.LAPSED


def _end(seconds: int | None) -> Combinable | None:
    """Return the time so many seconds from now, by the database's clock."""
    return None if seconds is None else Now() + timedelta(seconds=seconds)


def expired_message(lease: "Lease") -> str:
    """Return the error message of an attempt whose lease expired. It is stored, so it is in English."""
    silent = (timezone.now() - lease.heartbeat_at).total_seconds()
    worker = f" of {lease.worker}" if lease.worker else ""
    return f"The lease{worker} expired: no heartbeat for {silent:.0f} seconds, with a lease of {lease.seconds} seconds."
