"""What is kept of a run's secrets: their values, encrypted, until the run can write nothing more to find them in."""

import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .secrets import Scrubber
from .states import ExecutionStatus

PURGED_AT_ONCE = 100
PURGE_EVERY = 60  # seconds, of one process

logger = logging.getLogger(__name__)


class ExecutionSecretsQuerySet(models.QuerySet["ExecutionSecrets"]):
    def over(self) -> "ExecutionSecretsQuerySet":
        """Of runs whose time for late lines, or for a retry, has passed."""
        return self.filter(is_over())

    def purge(self, limit: int | None = None) -> int:
        """Delete the values of those that are over; how many there were. Others may do the same meanwhile."""
        with transaction.atomic(using=self.db):
            due = self.over().filter(sealed__isnull=False).order_by()
            pks = list(due.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
            _scrubber.cache_clear()
            return self.filter(pk__in=pks).update(sealed=None) if pks else 0


class ExecutionSecrets(models.Model):
    workflow_execution = models.OneToOneField(
        "executions.WorkflowExecution", on_delete=models.DB_CASCADE, primary_key=True, related_name="+"
    )
    sealed = models.TextField(_("encrypted values"), null=True)  # noqa: DJ001  # NULL is "purged"

    objects = ExecutionSecretsQuerySet.as_manager()

    class Meta:
        db_table = "execution_secrets"
        verbose_name = _("secrets of a workflow execution")
        verbose_name_plural = _("secrets of workflow executions")
        indexes = [
            # Read by purge(): few runs are under way, and many more were.
            models.Index(
                fields=["workflow_execution"], name="idx_execution_secrets_kept", condition=Q(sealed__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)


def is_over(run: str = "workflow_execution__") -> Q:
    """`run` leads to the run; it is "" from a run itself."""

    def ended(before: int) -> Any:
        return Now() - timedelta(seconds=before)

    final = [ExecutionStatus.COMPLETED, ExecutionStatus.CANCELLED]
    grace, failed = settings.EXECUTIONS_SECRETS_GRACE_SECONDS, settings.EXECUTIONS_SECRETS_FAILED_SECONDS
    return Q(**{f"{run}status__in": final, f"{run}ended_at__lt": ended(grace)}) | Q(
        **{f"{run}status": ExecutionStatus.FAILED, f"{run}ended_at__lt": ended(failed)}
    )


def purge_now_and_then(using: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
    """A few of other runs, after a verb has ended one: at most once a minute in one process. Never raises."""
    global _purged_at  # noqa: PLW0603  # of the process, as its name says
    if clock() - _purged_at < PURGE_EVERY:
        return
    _purged_at = clock()
    try:
        ExecutionSecrets.objects.using(using).purge(PURGED_AT_ONCE)
    except DatabaseError as error:
        logger.warning("Expired secrets could not be deleted: %s. manage.py purge_secrets tries again.", error)


_purged_at = -float(PURGE_EVERY)


def scrubber_of(sealed: str) -> Scrubber:
    """Raises InvalidToken where no key of the settings decrypts it."""
    return _scrubber(sealed, _keys(), extra_keys())


@lru_cache(64)
def _scrubber(sealed: str, keys: tuple[str, ...], extra: tuple[str, ...]) -> Scrubber:
    """No two encryptions are equal: the text itself is the version of the row."""
    return Scrubber(_unsealed(sealed, keys), extra)


def seal(values: Iterable[str]) -> str:
    return _fernet(_keys()).encrypt(json.dumps(sorted(values)).encode()).decode()


def unseal(sealed: str) -> frozenset[str]:
    """Raises InvalidToken where no key of the settings decrypts it."""
    return _unsealed(sealed, _keys())


def _unsealed(sealed: str, keys: tuple[str, ...]) -> frozenset[str]:
    return frozenset(json.loads(_fernet(keys).decrypt(sealed)))


@lru_cache(8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> tuple[str, ...]:
    return tuple(settings.EXECUTIONS_SECRETS_KEYS)


def extra_keys() -> tuple[str, ...]:
    """Names of keys whose values are secret too, beside those that are known."""
    return tuple(settings.EXECUTIONS_SECRET_KEYS_EXTRA)
