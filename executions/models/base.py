"""Shared parts of a run and a node execution: status, times, and the one statement that changes the status.

A verb masks its texts by the secrets that were read with the run, and the statement compares these: one call of the
database, without a transaction around it. The run is locked first only if it has other secrets by then. Locking it each
time costs 0.7 to 1.3 ms more processor time for a complete with an output (docs/decisions.md).
"""

from collections.abc import Mapping, Set
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Unpack
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from executions import audit, leases, masking, refusal_reasons, validators
from executions.exceptions import InvalidTransition, StaleExecution
from executions.metrics import TRANSITIONS
from executions.secrets import retention, run_secrets
from executions.states import ENDED, TARGETS, ErrorCode, ExecutionStatus, Transitions
from ledgerkit.db import json_validation
from ledgerkit.db.models import SaveArguments, Value, VersionedModel, json_value

if TYPE_CHECKING:
    from .lease import Lease
    from .workflow_execution import WorkflowExecution

type Changes = dict[str, object]  # values of columns, by their names

RESET: Changes = {
    "started_at": None, "ended_at": None, "output_data": None, "error_message": None, "error_code": "",
}  # fmt: skip


class MaskedTexts:
    """A row whose texts are masked before it is saved."""

    # Secrets found in the texts as they were given: a save that is repeated after a rollback finds only masks.
    found_secrets: Set[str] = frozenset()


class Timed(models.Model):
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def duration_seconds(self) -> float | None:
        """Return the seconds from start to end, None unless both are known."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class Execution(MaskedTexts, VersionedModel, Timed):
    """A row with a status. Subclasses define `TRANSITIONS`, `SOURCES` and a model of earlier attempts, related as
    `attempts`."""

    TRANSITIONS: ClassVar[Transitions]
    SOURCES: ClassVar[Mapping[ExecutionStatus, list[str]]]  # the same table, by the status that is reached
    ACT: ClassVar[str] = "save"

    status = models.CharField(
        _("status"),
        max_length=50,
        choices=ExecutionStatus,
        default=ExecutionStatus.PENDING,
        db_default=ExecutionStatus.PENDING.value,
    )
    input_data = models.JSONField(_("input"), default=dict, db_default=json_value({}), blank=True)
    output_data = models.JSONField(_("output"), null=True, blank=True)
    error_message = models.TextField(_("error"), null=True, blank=True)  # noqa: DJ001  # NULL is "no error"
    error_code = models.CharField(_("error code"), max_length=50, default="", db_default="", blank=True, editable=False)
    attempt = models.PositiveIntegerField(_("attempt"), default=1, db_default=1, editable=False)

    class Meta:
        abstract = True

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Save the row, with secrets masked in the object too. Raises StaleObject if the row is newer,
        InvalidTransition if the status was assigned, and the errors of check_documents()."""
        self.check_documents()
        self._mask_secrets(kwargs.get("using"))
        super().save(**kwargs)

    def clean(self) -> None:
        super().clean()
        self.check_documents()

    def check_documents(self) -> None:
        """Check the loaded JSON fields. Raises ValidationError, which names the place of an invalid value."""
        for field in self._meta.concrete_fields:
            if isinstance(field, models.JSONField) and field.attname in self.__dict__:
                json_validation.check(field.name, self.__dict__[field.attname])

    def _mask_secrets(self, using: str | None) -> None:
        masking.mask_rows([self], self.ACT, using)

    def leases_of_attempts(self) -> "models.Manager[Lease]":
        raise NotImplementedError  # runs and node executions each implement it

    @property
    def run_id(self) -> UUID:
        raise NotImplementedError  # runs and node executions each implement it

    @property
    def is_terminal(self) -> bool:
        """Return whether it is completed, failed, skipped or cancelled. A failed execution may be retried."""
        return self.status in ENDED

    def heartbeat(self, token: UUID, lease_seconds: int | None = None) -> "Lease":
        """Extend the lease with this token, and return it. Raises FencedExecution if the attempt was replaced or ended
        because its lease expired, InvalidTransition if it has ended otherwise."""
        return leases.extend(self, token, lease_seconds)

    def fail_overdue(self, code: ErrorCode, error_message: str) -> None:
        """running → failed, because the lease expired or the time-out was exceeded. Called by upkeep."""
        self._transition("fail", {"error_message": error_message, "error_code": str(code)})

    def _start(self, at: datetime | None, worker: str, lease_seconds: int | None) -> UUID | None:
        """Start the row. Return the token of the attempt if it has a worker or a lease."""
        if not worker and lease_seconds is None:
            self._transition("start", at=at)
            return None
        leases.check_terms(worker, lease_seconds)
        with transaction.atomic():
            self._transition("start", at=at)
            return leases.grant(self, worker, lease_seconds)

    def _transition(
        self, act: str, texts: Changes | None = None, at: datetime | None = None, token: UUID | None = None
    ) -> None:
        """Change the status by one call of the database (sql/transitions.sql), whose UPDATE matches the states from
        which the verb may be called and the attempt of this object. Only retries (sql/retry_run.sql) and facts
        (facts/row_storage.py) change it otherwise, in rows that they have locked. If callers race, the row lock admits
        one; the WHERE of the next caller is evaluated on the changed row and matches nothing.

        If it raises, the row and this object are unchanged. Do no work outside the database here, such as a webhook: it
        would hold the row's lock (docs/development.md).

        `at` is the time of the transition by the engine's clock. Raises ValidationError if it is in the future, or
        before the start. Raises FencedExecution if `token` is not that of the attempt.
        """
        texts = texts or {}
        json_validation.check("output_data", texts.get("output_data"))
        if token is not None:
            leases.report(self, act, token, partial(self._transition, act, texts, at))
            return
        if at is not None:
            validators.check_at(at)
        moved = self._move_as_read(act, texts, at) or self._move_locked(act, texts, at)
        if moved["status"] in ENDED and vars(self).get("encrypted_secrets", "not read") is not None:  # NULL if none
            transaction.on_commit(retention.purge_occasionally, robust=True)
        self._set_changes(moved)

    def _set_changes(self, moved: Changes) -> None:
        """Set the changed values in this object. If other columns of the row are newer than the object, the version is
        left as it is: a later save() is refused and overwrites none of them."""
        if to := moved.get("status"):
            TRANSITIONS.labels(self._meta.model_name, str(to)).inc()
        for name, value in moved.items():
            if name != "version" or value == self.version + 1:
                setattr(self, name, value)

    def _move_as_read(self, act: str, texts: Changes, at: datetime | None) -> Changes | None:
        """Move the row, with texts masked by the secrets that were read with the run. Return its new values, None if it
        does not match, and if the run has other secrets or is about to get one."""
        known = None
        if any(texts.values()) or audit.current().has_text:
            known = run_secrets.as_read(self._run_as_read())
            masked = None if known is None else masking.mask_by_known(texts, known)
            if masked is None:
                return None
            texts = masked
        with transaction.atomic() if connection.in_atomic_block else nullcontext():  # a savepoint for the caller
            return self._move(act, texts, at, known)

    def _move_locked(self, act: str, texts: Changes, at: datetime | None) -> Changes:
        """Lock the run and move the row, with texts masked by the secrets that the run has then. Store the secrets
        found in the texts. Raises InvalidTransition if the row does not match."""
        with transaction.atomic():
            has_texts = any(texts.values())
            if has_texts or audit.current().has_text:
                known = run_secrets.lock(self.run_id, act, or_blind=not has_texts)
                masked, known = masking.mask_changes(self, texts, act, known)
                if (moved := self._move(act, masked, at, known)) is not None:
                    if (run := self._run_as_read()) is not None:
                        run.encrypted_secrets = known.encrypted
                    return moved
            self._check_end(act, at)
            raise self._transition_error(act)

    def _move(
        self, act: str, texts: Changes, at: datetime | None, known: run_secrets.RunSecrets | None = None
    ) -> Changes | None:
        """Move the row, if its run has the secrets by which the texts are masked. Return its new values, None if it
        does not match."""
        actor, target = audit.current(), TARGETS[act]
        reason = masking.masked_reason(known.scrubber) if known and actor.has_text else {}
        output = texts.get("output_data")
        moved = self._call_move(
            act,
            tried=self.attempt,
            sources=self.SOURCES[target],
            target=str(target),
            output=None if output is None else json_validation.to_json(output),
            error=texts.get("error_message"),
            trace=texts.get("error_traceback"),
            code=texts.get("error_code", ""),
            has_texts=known is not None,
            masked_by=known and known.encrypted,
            note=actor.note(act=act, **reason),
            moment=at,
        )
        return None if moved is None else moved | texts

    def _run_as_read(self) -> "WorkflowExecution | None":
        """Return this object's run, None if it was not read."""
        raise NotImplementedError  # runs and node executions each implement it

    def _call_move(self, act: str, **arguments: object) -> Changes | None:
        """Return what the database function of the transitions returns (sql/transitions.sql)."""
        raise NotImplementedError  # runs and node executions each implement it

    def _check_end(self, act: str, at: datetime | None) -> None:
        """Raise ValidationError if the transition matched no row because `at` is before the start."""
        if at is None or TARGETS[act] not in ENDED:
            return
        rows: QuerySet[Execution] = QuerySet(type(self)).filter(pk=self.pk, attempt=self.attempt, started_at__gt=at)
        row = rows.filter(status__in=self.SOURCES[TARGETS[act]]).only("started_at").first()
        if row is not None and row.started_at is not None:
            raise validators.end_before_start(row.started_at)

    def _transition_error(self, act: str) -> InvalidTransition:
        """Return the exception for a transition that matched no row. Raises DoesNotExist if the row was deleted."""
        row: Execution = QuerySet(type(self)).only("status", "attempt", "version").get(pk=self.pk)
        if row.status not in self.SOURCES[TARGETS[act]]:
            return InvalidTransition(act, row.status, version=row.version)
        is_replaced = row.attempt != self.attempt
        reason = refusal_reasons.attempt_replaced(self.attempt, row.attempt) if is_replaced else refusal_reasons.CHANGED
        return StaleExecution(act, row.status, reason, row.version)

    def _read_as(self, values: list[Value]) -> dict[str, object]:
        """Match the status and the attempt too if save() writes them: save() never changes the status."""
        read = super()._read_as(values)
        return read | {
            field.attname: value for field, _model, value in values if field.attname in {"status", "attempt"}
        }

    def _save_error(self, using: str | None) -> Exception:
        row = type(self)._base_manager.using(using).filter(pk=self.pk, version=self.version).first()
        if row is not None:
            return InvalidTransition("save", row.status, refusal_reasons.VERBS_ALONE, row.version)
        return super()._save_error(using)


def state_constraints(prefix: str) -> list[models.CheckConstraint]:
    """Return the constraints on status and times, which hold for plain SQL too."""
    return [
        models.CheckConstraint(condition=Q(status__in=ExecutionStatus.values), name=f"{prefix}_status_known"),
        models.CheckConstraint(
            condition=~Q(status=ExecutionStatus.RUNNING) | Q(started_at__isnull=False),
            name=f"{prefix}_running_has_start",
        ),
        models.CheckConstraint(
            condition=~Q(status__in=[str(state) for state in ENDED]) | Q(ended_at__isnull=False),
            name=f"{prefix}_ended_has_end",
        ),
        models.CheckConstraint(
            condition=Q(started_at__isnull=True) | Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
            name=f"{prefix}_end_after_start",
        ),
    ]
