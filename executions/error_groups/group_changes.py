"""The verbs of people for a group of errors: change its state, assign it, note something, merge and split it. A trigger
writes each into the history of the group, with the actor and the reason (sql/error_groups.sql)."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions import audit, limits, text_limits
from executions.models import ErrorFingerprint, ErrorGroup, ErrorState
from executions.secrets.scrubber import Scrubber
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db import json_validation
from ledgerkit.db.audit import audit_writes
from ledgerkit.db.locks import lock
from workflows.querysets import User

from .scan import LOCK

NO_TIME = _("Say until when it is muted.")
PAST = _("This time is over: choose a later one.")
NOT_MUTED = _("Only a muted group has this time.")
NO_NOTE = _("Write a note.")
NO_OTHERS = _("Choose at least two groups.")
TOO_MANY = _("Choose at most %(most)d groups.")
MERGED = _("This group was merged into another one.")
NOT_SPLIT = _("Choose at least one fingerprint, and leave at least one.")


class Changes(TypedDict, total=False):
    """Fields of a group that people change."""

    state: str
    muted_until: datetime | None
    assignee: User | None


def change(group: ErrorGroup, reason: str = "", **changes: Unpack[Changes]) -> None:
    """Change the group. Raises ValidationError for what does not fit, StaleObject if it has changed since it was
    read."""
    if group.merged_into_id is not None:  # if it was merged since it was read, its version has changed
        raise _merge_error()
    _set_state(group, changes)
    if "assignee" in changes:
        group.assignee = changes["assignee"]  # type: ignore[assignment]  # an anonymous user does not reach this
    with _because(reason), transaction.atomic(), audit_writes():
        group.save(
            update_fields=["state", "muted_until", "resolved_at", "is_regression", "assignee", "version", "updated_at"]
        )


def note(group: ErrorGroup, text: str) -> None:
    """Add a note to the history of the group."""
    if not text.strip():
        raise ValidationError({"text": NO_NOTE}, code="required")
    with _because(text), transaction.atomic(), audit_writes():
        _lock_current({group.pk})
        _write_entry(group.pk, "note")


def merge(group: ErrorGroup, others: Sequence[ErrorGroup], reason: str = "") -> None:
    """Merge other groups into this one: their fingerprints, and so all later failures, belong to it."""
    pks = {other.pk for other in others} - {group.pk}
    if not pks:
        raise ValidationError({"groups": NO_OTHERS}, code="required")
    if len(pks) > limits.MERGED_GROUPS:
        most = {"most": limits.MERGED_GROUPS}
        raise ValidationError({"groups": ValidationError(TOO_MANY, code="too_many", params=most)})
    with _because(reason), transaction.atomic(), audit_writes():
        _lock_current({group.pk, *pks})
        ErrorFingerprint.objects.filter(group__in=pks).update(group=group)
        ErrorGroup.objects.filter(merged_into__in=pks).update(merged_into=group)
        ErrorGroup.objects.filter(pk__in=pks).update(merged_into=group)
        _write_entry(group.pk, "merge")
        _count([group.pk])


def split(group: ErrorGroup, fingerprints: Collection[UUID], reason: str = "") -> ErrorGroup:
    """Move some fingerprints of the group into a new one, and so all later failures with them. Return it."""
    with _because(reason), transaction.atomic(), audit_writes():
        _lock_current({group.pk})
        rows = list(group.fingerprints.order_by("first_seen", "id"))
        moved = [row for row in rows if row.pk in set(fingerprints)]
        if not moved or len(moved) == len(rows):
            raise ValidationError({"fingerprints": NOT_SPLIT}, code="invalid")
        made = ErrorGroup.objects.create(
            title=moved[0].title, first_seen=moved[0].first_seen, last_seen=moved[0].last_seen
        )
        group.fingerprints.filter(pk__in=[row.pk for row in moved]).update(group=made)
        for each in (group, made):
            _write_entry(each.pk, "split")
        _count([group.pk, made.pk])
    made.refresh_from_db()
    return made


def _set_state(group: ErrorGroup, changes: Changes) -> None:
    until = changes.get("muted_until")
    state = changes.get("state", group.state)
    if state == ErrorState.MUTED:
        _check_time(until or group.muted_until)
    elif until is not None:
        raise ValidationError({"muted_until": NOT_MUTED}, code="invalid")
    group.muted_until = (until or group.muted_until) if state == ErrorState.MUTED else None
    if state != group.state:
        group.resolved_at = timezone.now() if state == ErrorState.RESOLVED else None
        group.is_regression = False
        group.state = ErrorState(state)


def _check_time(until: datetime | None) -> None:
    if until is None:
        raise ValidationError({"muted_until": NO_TIME}, code="required")
    if until <= timezone.now():
        raise ValidationError({"muted_until": PAST}, code="invalid")


def _lock_current(groups: Collection[UUID]) -> None:
    """Lock out the scan and other merges until the end of the transaction. Raises ValidationError if one of the groups
    was merged, also since it was read: nobody would see what is moved there."""
    lock(LOCK)
    if ErrorGroup.objects.filter(pk__in=groups).exclude(merged_into=None).exists():
        raise _merge_error()


def _merge_error() -> ValidationError:
    return ValidationError({"state": MERGED}, code="merged")


def _because(reason: str) -> AbstractContextManager[None]:
    """Act for this reason, masked by key alone: a group belongs to no run."""
    clear = Scrubber(extra=ledgerkit_settings.SECRET_KEYS_EXTRA)
    text = clear.text(json_validation.to_storable_text(reason.strip()))
    return audit.act_as(reason=text_limits.cut_to_limits("reason", text))


def _write_entry(group: UUID, act: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT note_error_group(%s, %s, '{}')", [group, act])


def _count(groups: list[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count_error_groups(%s)", [groups])
