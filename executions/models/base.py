"""Shared parts of a run and a node execution: status, times, and the one statement that changes the status."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db import models, transaction
from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext_lazy as _

from executions import audit, encryption, masking, refusal_reasons
from executions.exceptions import InvalidTransition, StaleExecution
from executions.states import ENDED, ExecutionStatus, Transitions, sources
from ledgerkit.db import json_validation
from ledgerkit.db.models import Value, VersionedModel, json_value

# Both times come from the database's clock. A statement that waited for a row lock is older than the change it waited
# for, and clocks are set back now and then: the end is never before the start all the same.
STARTED = Now()
END = Greatest(Now(), F("started_at"))

RESET: dict[str, object] = {"started_at": None, "ended_at": None, "output_data": None, "error_message": None}


class Timed(models.Model):
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from start to end; None unless both are known."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class Execution(VersionedModel, Timed):
    """Subclasses give `TRANSITIONS` and, as the related name `attempts`, a model of what earlier attempts were."""

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

    objects: ClassVar[Any]

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        """Raises StaleObject where the row is newer, InvalidTransition where the status was assigned, and what
        check_documents() raises. Secrets are masked in the object too."""
        self.check_documents()
        self._guard_secrets(kwargs.get("using"))
        super().save(**kwargs)

    def clean(self) -> None:
        super().clean()
        self.check_documents()

    def check_documents(self) -> None:
        """Raises ValidationError, naming the place, for what is not JSON in any of its documents that were read."""
        for field in self._meta.concrete_fields:
            if isinstance(field, models.JSONField) and field.attname in self.__dict__:
                json_validation.check(field.name, self.__dict__[field.attname])

    def _guard_secrets(self, using: str | None) -> None:
        masking.mask_rows([self], self.ACT, using)

    @property
    def run_id(self) -> UUID:
        raise NotImplementedError  # runs and node executions each implement it

    @property
    def is_terminal(self) -> bool:
        """Nothing runs any more: completed, failed, skipped or cancelled (a failed one may be retried)."""
        return self.status in ENDED

    def _move(
        self,
        act: str,
        to: ExecutionStatus,
        then: Callable[[], object] | None = None,
        where: Q | None = None,
        **changes: object,
    ) -> None:
        """The only place where a verb changes `status`: one UPDATE that matches the states from which `to` may be
        reached, and the attempt that this object was read in. Of callers who race, the row lock lets one match; the
        next one's WHERE is evaluated again on the row as the first left it, matches nothing, and is refused.

        `then` runs in the same transaction; if it raises, nothing has happened, to the row or to this object.
        """
        rows = type(self).objects.filter(
            where or Q(), pk=self.pk, attempt=self.attempt, status__in=sources(self.TRANSITIONS, to)
        )
        json_validation.check("output_data", changes.get("output_data"))
        with transaction.atomic():
            moved = self._move_with_masking(rows, act, {"status": to, **changes})
            if moved is None:
                raise self._refusal(act, to)
            if then is not None:
                then()
            if to in ENDED:
                transaction.on_commit(encryption.purge_occasionally, robust=True)
        self._take_over(moved)

    def _take_over(self, moved: dict[str, object]) -> None:
        """Set what a move has changed in the row. Where somebody changed other columns since this object was read, the
        move stands and the object stays stale, so that save() does not write its old values over theirs."""
        for name, value in moved.items():
            if name != "version" or value == self.version + 1:
                setattr(self, name, value)

    def _move_with_masking(self, rows: QuerySet[Model], act: str, changes: dict[str, object]) -> dict[str, Any] | None:
        """Return what the row holds once it has moved; None where it does not match.

        Texts are masked by the secrets that were read with the run, and the UPDATE matches these. Where the run has
        others by now, it is locked, they are read, and the texts are masked anew.
        """
        texts = masking.texts_in(self, changes)
        if not (texts or audit.reason() or audit.given_id()):
            return _update_row(rows, changes, audit.note(act))
        read = masking.as_read(self._run_as_read())
        moved = None if read is None else self._move_masked(rows, act, changes, read)
        if moved is None:
            now = masking.lock(self.run_id, act, or_blind=not texts)
            if read is None or now.encrypted != read.encrypted:
                moved = self._move_masked(rows, act, changes, now)
        return moved

    def _move_masked(
        self, rows: Any, act: str, changes: dict[str, Any], known: masking.RunSecrets
    ) -> dict[str, Any] | None:
        masked, known = masking.mask_changes(self, changes, act, known)
        if (run := self._run_as_read()) is not None:
            run.encrypted_secrets = known.encrypted
        note = audit.note(act, *masking.masked_reason(known.scrubber))
        return _update_row(rows.filter(self._knows(known.encrypted)), changes | masked, note)

    def _run_as_read(self) -> Any:
        """Return this object's run, None where it was not read."""
        raise NotImplementedError  # runs and node executions each implement it

    def _knows(self, encrypted: str | None) -> Q:
        """Return what matches rows whose run has these secrets, and no other until the transaction ends."""
        raise NotImplementedError  # runs and node executions each implement it

    def _refusal(self, act: str, to: ExecutionStatus) -> InvalidTransition:
        """Why the row could not be moved, by what it holds now. Raises DoesNotExist where it is gone."""
        row = type(self).objects.only("status", "attempt", "version").get(pk=self.pk)
        if row.status not in sources(self.TRANSITIONS, to):
            return InvalidTransition(act, row.status, version=row.version)
        is_replaced = row.attempt != self.attempt
        reason = refusal_reasons.attempt_replaced(self.attempt, row.attempt) if is_replaced else refusal_reasons.CHANGED
        return StaleExecution(act, row.status, reason, row.version)

    def _read_as(self, values: list[Value]) -> dict[str, Any]:
        """save() writes data, never a move: where the status is among `values`, the row must hold that very one."""
        read = super()._read_as(values)
        return read | {
            field.attname: value for field, _model, value in values if field.attname in {"status", "attempt"}
        }

    def _save_error(self, using: str | None) -> Exception:
        row = type(self)._base_manager.using(using).filter(pk=self.pk, version=self.version).first()
        if row is not None:
            return InvalidTransition("save", row.status, refusal_reasons.VERBS_ALONE, row.version)
        return super()._save_error(using)


def _update_row(rows: Any, changes: dict[str, Any], note: str) -> dict[str, object] | None:
    with audit.audit_note(note):
        moved: dict[str, Any] | None = rows.update_returning(**changes)
    return moved


def state_constraints(prefix: str) -> list[models.CheckConstraint]:
    """The rows that cannot exist, whoever writes them."""
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
