"""Shared parts of a run and a node execution: status, times, and the one statement that changes the status."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Unpack
from uuid import UUID

from django.db import models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext_lazy as _

from executions import audit, encryption, masking, refusal_reasons, run_secrets
from executions.exceptions import InvalidTransition, StaleExecution
from executions.states import ENDED, ExecutionStatus, Transitions, sources
from ledgerkit.db import json_validation
from ledgerkit.db.models import SaveArguments, Value, VersionedModel, VersionedQuerySet, json_value

if TYPE_CHECKING:
    from .workflow_execution import WorkflowExecution

# Both times are the database's. GREATEST because a statement's time may be before the start: it may have waited for
# the lock of the row, or the clock was set back.
STARTED = Now()
END = Greatest(Now(), F("started_at"))

type Changes = dict[str, object]  # values of columns, by their names

RESET: Changes = {"started_at": None, "ended_at": None, "output_data": None, "error_message": None}


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


class Execution(VersionedModel, Timed):
    """A row with a status. Subclasses define `TRANSITIONS` and a model of earlier attempts, related as `attempts`."""

    TRANSITIONS: ClassVar[Transitions]
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
        """Check the JSON fields that were read. Raises ValidationError, with the place, for what is not JSON."""
        for field in self._meta.concrete_fields:
            if isinstance(field, models.JSONField) and field.attname in self.__dict__:
                json_validation.check(field.name, self.__dict__[field.attname])

    def _mask_secrets(self, using: str | None) -> None:
        masking.mask_rows([self], self.ACT, using)

    @property
    def run_id(self) -> UUID:
        raise NotImplementedError  # runs and node executions each implement it

    @property
    def is_terminal(self) -> bool:
        """Return whether it is completed, failed, skipped or cancelled. A failed one may be retried."""
        return self.status in ENDED

    def _transition(
        self,
        act: str,
        to: ExecutionStatus,
        changes: Changes,
        then: Callable[[], object] | None = None,
        where: Q | None = None,
    ) -> None:
        """Change the status by one UPDATE, which matches the states from which `to` can be reached and the attempt of
        this object. No other code changes the status. Of callers who race, the row lock lets one match; the WHERE of
        the next one is then evaluated on the changed row and matches nothing.

        `then` runs in the same transaction. If it raises, the row and this object are unchanged. Work outside the
        database, such as a webhook, does not belong here: it would hold the row's lock (docs/development.md).
        """
        rows: VersionedQuerySet[Execution] = VersionedQuerySet(type(self)).filter(
            where or Q(), pk=self.pk, attempt=self.attempt, status__in=sources(self.TRANSITIONS, to)
        )
        json_validation.check("output_data", changes.get("output_data"))
        with transaction.atomic():
            moved = self._update_masked(rows, act, {"status": to} | changes)
            if moved is None:
                raise self._transition_error(act, to)
            if then is not None:
                then()
            if to in ENDED:
                transaction.on_commit(encryption.purge_occasionally, robust=True)
        self._set_changes(moved)

    def _set_changes(self, moved: Changes) -> None:
        """Set the changed values in this object. If other columns of the row are newer than the object, the version is
        left as it is: a later save() is refused and overwrites none of them."""
        for name, value in moved.items():
            if name != "version" or value == self.version + 1:
                setattr(self, name, value)

    def _update_masked(self, rows: "VersionedQuerySet[Execution]", act: str, changes: Changes) -> Changes | None:
        """Update the row with masked texts. Return its new values, None if it does not match.

        Texts are masked by the secrets that were read with the run, which the UPDATE must match. If the run has others
        by now, lock it, read them, and mask the texts again.
        """
        texts = masking.texts_in(self, changes)
        if not (texts or audit.current().reason or audit.current().given_id):
            with audit.audit_note(audit.note(act)):
                return rows.update_returning(**changes)
        read = run_secrets.as_read(self._run_as_read())
        moved = None if read is None else self._update_masked_by(rows, act, changes, texts, read)
        if moved is None:
            now = run_secrets.lock(self.run_id, act, or_blind=not texts)
            if read is None or now.encrypted != read.encrypted:
                moved = self._update_masked_by(rows, act, changes, texts, now)
        return moved

    def _update_masked_by(
        self,
        rows: "VersionedQuerySet[Execution]",
        act: str,
        changes: Changes,
        texts: Changes,
        known: run_secrets.RunSecrets,
    ) -> Changes | None:
        masked, known = masking.mask_changes(self, texts, act, known)
        if (run := self._run_as_read()) is not None:
            run.encrypted_secrets = known.encrypted
        rows = rows.filter(self._with_secrets(known.encrypted))
        with audit.audit_note(audit.note(act, *masking.masked_reason(known.scrubber))):
            return rows.update_returning(**changes | masked)

    def _run_as_read(self) -> "WorkflowExecution | None":
        """Return this object's run, None if it was not read."""
        raise NotImplementedError  # runs and node executions each implement it

    def _with_secrets(self, encrypted: str | None) -> Q:
        """Return a condition that the row's run has these secrets, and has no others before the transaction ends."""
        raise NotImplementedError  # runs and node executions each implement it

    def _transition_error(self, act: str, to: ExecutionStatus) -> InvalidTransition:
        """Return the exception for a transition that matched no row. Raises DoesNotExist if the row was deleted."""
        row: Execution = QuerySet(type(self)).only("status", "attempt", "version").get(pk=self.pk)
        if row.status not in sources(self.TRANSITIONS, to):
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
