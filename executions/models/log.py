"""ExecutionLog: a line of a run's log, written once and never changed."""

from functools import partial
from typing import Unpack
from uuid import UUID

from django.contrib.postgres.indexes import OpClass
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q
from django.db.models.functions import Length, Now, Upper
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions import log_preparation
from executions.exceptions import ImmutableLog
from executions.querysets import ExecutionLogQuerySet
from executions.states import LogLevel
from ledgerkit.db.indexes import GinIndex, Index
from ledgerkit.db.models import Octets, SaveArguments, UUID7Model

from .base import MaskedTexts

# Lines in the search index of messages. An index of all lines would double the processor time for each list of lines
# that an engine sends (docs/decisions.md, "Searching across runs").
INDEXED_LEVELS = (LogLevel.WARNING, LogLevel.ERROR)


class ExecutionLog(MaskedTexts, UUID7Model):
    workflow_execution = models.ForeignKey(
        "executions.WorkflowExecution",
        on_delete=models.DB_CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="logs",
        verbose_name=_("workflow execution"),
    )
    # The migration adds the foreign keys. The one of the run is checked first, so that a new log locks in the order of
    # the verbs, the run before its node. The other is of (workflow_execution, node_execution), because the node
    # execution must belong to the run.
    node_execution = models.ForeignKey(
        "executions.NodeExecution",
        on_delete=models.DB_CASCADE,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="logs",
        verbose_name=_("node execution"),
    )
    level = models.CharField(_("level"), max_length=20, choices=LogLevel)
    message = models.TextField(_("message"))
    data = models.JSONField(_("data"), null=True, blank=True)
    timestamp = models.DateTimeField(_("time"), default=timezone.now, db_default=Now())
    is_cut = models.BooleanField(
        _("cut"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("The message was longer than a line may be; its end states how much was cut off."),
    )

    # These columns of lines from before they existed are NULL, and so are source and seq of most others.
    # A text, so that secrets are masked in it.
    source = models.TextField(_("source"), null=True, blank=True, help_text=_("The process that wrote the line."))  # noqa: DJ001  # NULL is "not given"
    seq = models.BigIntegerField(
        _("number"),
        null=True,
        blank=True,
        help_text=_("The number that its source gave the line, from 1: a missing number is a missing line."),
    )
    attempt = models.IntegerField(
        _("attempt"),
        null=True,
        blank=True,
        help_text=_("The attempt of its node execution, or of the run if it has none, that wrote the line."),
    )

    objects = ExecutionLogQuerySet.as_manager()

    class Meta:
        db_table = "execution_logs"
        verbose_name = _("execution log")
        verbose_name_plural = _("execution logs")
        default_permissions = ("add", "view")
        ordering = ["timestamp", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(level__in=LogLevel.values), name="execution_log_level_known"),
            models.CheckConstraint(
                condition=LessThanOrEqual(Octets("message"), log_preparation.MAX_MESSAGE),
                name="execution_log_message_length",
            ),
            models.CheckConstraint(
                condition=LessThanOrEqual(Length("source"), log_preparation.MAX_SOURCE),
                name="execution_log_source_length",
            ),
            models.CheckConstraint(condition=Q(seq__gte=1), name="execution_log_seq_from_one"),
            models.CheckConstraint(condition=Q(attempt__gte=1), name="execution_log_attempt_from_one"),
        ]
        indexes = [
            Index(fields=["workflow_execution", "timestamp", "id"], name="idx_execution_logs_workflow_execution"),
            Index(
                fields=["node_execution"],
                name="idx_execution_logs_node_execution",
                condition=Q(node_execution__isnull=False),
            ),
            Index(fields=["-timestamp"], name="idx_execution_logs_timestamp"),
            Index(fields=["level", "-timestamp"], name="idx_execution_logs_level"),
            # For log_gaps.missing_lines(), which reads nothing else.
            Index(
                fields=["workflow_execution", "source", "seq"],
                name="idx_execution_logs_numbered",
                condition=Q(seq__isnull=False),
            ),
            GinIndex(
                OpClass(Upper("message"), "gin_trgm_ops"),
                name="idx_execution_logs_message_text",
                condition=Q(level__in=[str(level) for level in INDEXED_LEVELS]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_level_display()}: {self.message}"

    def clean(self) -> None:
        if self.node_execution and self.node_execution.workflow_execution_id != self.workflow_execution_id:
            raise ValidationError({"node_execution": _("The node execution belongs to another run than the line.")})

    @property
    def run_id(self) -> UUID:
        return self.workflow_execution_id

    def save(self, **kwargs: Unpack[SaveArguments]) -> None:
        """Insert the log, unless it is below the level that its workflow stores. Raises ImmutableLog if it is saved
        already, ValidationError if its id is not a UUIDv7."""
        if not self._state.adding:
            raise ImmutableLog
        using = kwargs.get("using") or DEFAULT_DB_ALIAS
        if self.attempt is None:
            self.attempt = log_preparation.current_attempt(self)
        save = partial(super().save, **kwargs)
        log_preparation.store([self], using, lambda kept: save() if kept else None)
