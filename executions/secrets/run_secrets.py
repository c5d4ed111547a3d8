"""The secrets of runs: read with the run's row, locked with it, stored in it.

The encrypted values are in the run's own row (`encryption.py`). They are an empty text after a purge: the run had
secrets, nothing can be masked reliably any more, and writes that carry text are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from executions import refusal_reasons
from executions.exceptions import SecretsUnknown
from executions.states import ACTIVE
from ledgerkit.conf import ledgerkit_settings

from .encryption import decrypt, encrypt, load_scrubber
from .retention import has_expired, run_rows
from .scrubber import NOTHING, RedactEverything, Scrubber

if TYPE_CHECKING:
    from executions.models import WorkflowExecution

type Values = Mapping[UUID, set[str]]


@dataclass(frozen=True, slots=True)
class RunSecrets:
    """The scrubber of one run's secrets, and the encrypted text it was made from. No two encrypted texts are equal."""

    scrubber: Scrubber = NOTHING
    encrypted: str | None = None


type KnownOf = Mapping[UUID, RunSecrets]

NONE = RunSecrets()
COLUMNS = ("encrypted_secrets", "status", "ended_at", "version")


@lru_cache(4)
def without_secrets(extra: tuple[str, ...]) -> RunSecrets:
    """Return the RunSecrets of a run without secrets. All such runs share its scrubber, with its caches."""
    return RunSecrets(Scrubber(extra=extra))


def as_read(run: "WorkflowExecution | None") -> RunSecrets | None:
    """Return the secrets that were read with this object of the run. None if they were not read, or may have expired.

    They may be outdated: the statement that stores the masked text has to match the encrypted text.
    """
    if run is None or "encrypted_secrets" not in vars(run) or run.status not in ACTIVE:
        return None
    if run.encrypted_secrets is None:
        return without_secrets(ledgerkit_settings.SECRET_KEYS_EXTRA)
    try:
        return known_by("", run.encrypted_secrets, run.status, None, run.version)
    except SecretsUnknown:
        return None


def lock(run: UUID, act: str, *, or_blind: bool = False) -> RunSecrets:
    """Lock the run's row until the end of the transaction and return its secrets. No other transaction can add one
    meanwhile.

    Raises SecretsUnknown; with `or_blind`, returns a scrubber that redacts everything instead.
    """
    try:
        return _read(run_rows().filter(pk=run).select_for_update(no_key=True), act).get(run, NONE)
    except SecretsUnknown:
        if or_blind:
            return RunSecrets(RedactEverything(), run_rows().values_list("encrypted_secrets", flat=True).get(pk=run))
        raise


def store_secrets(found: Values, using: str | None = None) -> KnownOf:
    """Add the values to the stored secrets of these runs. Return all secrets of the runs."""
    rows = run_rows(using)
    known: dict[UUID, RunSecrets] = {}
    with transaction.atomic(using=rows.db):
        # Locks are taken on runs first, as in every verb, and in the order of their ids.
        runs = rows.filter(pk__in=found).order_by("pk").select_for_update(no_key=True)
        for run, before in list(runs.values_list("pk", "encrypted_secrets")):
            values = found[run] | (decrypt(before) if before else frozenset())
            encrypted = encrypt(values)
            rows.filter(pk=run).update(encrypted_secrets=encrypted)
            known[run] = RunSecrets(Scrubber(values, ledgerkit_settings.SECRET_KEYS_EXTRA), encrypted)
    return known


def scrubber(run: UUID, using: str | None = None) -> Scrubber:
    """Return a scrubber for text about a run that is printed and not stored. It redacts everything if the secrets are
    unknown."""
    try:
        return read_known({run}, "print", using).get(run, NONE).scrubber
    except (SecretsUnknown, DatabaseError):
        return RedactEverything()


def read_known(runs: set[UUID], act: str, using: str | None) -> dict[UUID, RunSecrets]:
    """Read the secrets of the runs from the database, never from a cache: another connection may have just added
    one."""
    return _read(run_rows(using).filter(pk__in=runs, encrypted_secrets__isnull=False), act) if runs else {}


def _read(rows: "QuerySet[WorkflowExecution]", act: str) -> dict[UUID, RunSecrets]:
    return {run: known_by(act, *columns) for run, *columns in rows.values_list("pk", *COLUMNS)}


def known_by(act: str, encrypted: str | None, status: str, ended_at: datetime | None, version: int) -> RunSecrets:
    """Return the secrets of a run from these COLUMNS of its row. Raises SecretsUnknown if they are deleted, expired, or
    cannot be decrypted."""
    if encrypted is None:
        return without_secrets(ledgerkit_settings.SECRET_KEYS_EXTRA)
    if not encrypted or has_expired(status, ended_at):
        raise SecretsUnknown(act, status, refusal_reasons.PURGED, version)
    try:
        return RunSecrets(load_scrubber(encrypted), encrypted)
    except InvalidToken as error:
        raise SecretsUnknown(act, status, refusal_reasons.LOST, version) from error
