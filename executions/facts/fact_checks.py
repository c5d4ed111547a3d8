"""Checks of the ids, times and documents of facts, beyond their types."""

import logging
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError

from executions import audit, leases, log_preparation, partitions, text_limits, validators
from executions.conf import executions_settings
from executions.partitions import VERSION_AND_VARIANT
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db import json_validation
from ledgerkit.rate_limited_logging import RateLimitedLogger

from .fact_kinds import Fact, Line, NodeCreate, NodeStart, RunCreate, RunStart, WorkflowEnsure
from .refusals import BadFact

DAY = 86_400_000  # milliseconds
log_wrong_clock = RateLimitedLogger(
    logging.getLogger(__name__),
    "The clock of a client of %r is %.0f seconds %s that of this server. The times of its facts are corrected.",
)
VERSION_7 = 7 << 76 | 2 << 62


class Checks:
    """Checks beyond types, with one time for the whole call."""

    def __init__(self, *, imports: bool, size: int | None = None, sent_at: datetime | None = None) -> None:
        """`size` is the size of the body: the documents of a small body are not measured. `sent_at` is the time of the
        call by the sender's clock: if that clock is wrong, every time of a fact is corrected by the difference."""
        moment = datetime.now(UTC)
        self.latest = moment + validators.AHEAD
        ahead = timedelta() if sent_at is None else sent_at - moment
        # A request that took a while must not count as a clock that is behind.
        self.ahead = ahead if abs(ahead) > validators.AHEAD else timedelta()
        if self.ahead:
            error = "ahead of" if self.ahead > timedelta() else "behind"
            log_wrong_clock(audit.current().display_name, abs(ahead.total_seconds()), error)
        self.imports = imports
        now = int(moment.timestamp() * 1000)
        self.oldest, self.newest = now - executions_settings.LOG_ID_DAYS * DAY, now + DAY
        self.is_small = size is not None and size * 4 <= ledgerkit_settings.MAX_DOCUMENT_BYTES

    def check(self, fact: Fact) -> datetime | None:
        """Return the fact's time. Raises BadFact."""
        if type(fact) is Line:
            self._check_id_of_line(fact.id.int)
            if fact.source is not None:
                _check_source(fact)
            if fact.data is None:
                return None if fact.at is None else self._moment(fact.at)
        elif isinstance(fact, RunCreate | NodeCreate):
            self._check_id(fact.id.int)
        elif isinstance(fact, RunStart | NodeStart) and fact.worker:
            _check_worker(fact)
        if isinstance(fact, RunCreate):
            _check_documents(fact)
        _check_depths(fact)
        if not self.is_small:
            _check_sizes(fact)
        return None if fact.at is None else self._moment(fact.at)

    def _moment(self, text: str) -> datetime:
        try:
            moment = json_validation.parse_utc_datetime(text)
        except ValueError:
            raise BadFact("invalid", f"at: {json_validation.MOMENT}.") from None
        if self.ahead:
            moment = _shift(moment, self.ahead)
        if moment > self.latest:
            raise BadFact("at_in_future", "at: more than five minutes after the server's time.")
        return moment

    def _check_id_of_line(self, id: int) -> None:
        if id & VERSION_AND_VARIANT == VERSION_7 and self.oldest < id >> 80 < self.newest:  # true for nearly every line
            return
        self._check_id(id)
        if not self.imports:
            days = executions_settings.LOG_ID_DAYS
            raise BadFact("invalid", f"id: The time inside this id is not within the last {days} days.")

    def _check_id(self, id: int) -> None:
        if id & VERSION_AND_VARIANT != VERSION_7:  # the properties of UUID are slow
            raise BadFact("invalid", "id: Expected a UUID version 7, whose first 48 bits are the time.")
        if id >> 80 >= partitions.LAST_MILLISECOND:
            raise BadFact("invalid", "id: The time inside this id lies beyond the year 9999.")


def _shift(moment: datetime, ahead: timedelta) -> datetime:
    try:
        return moment - ahead
    except OverflowError:
        raise BadFact("invalid", f"at: {json_validation.MOMENT}.") from None


def _check_source(fact: Line) -> None:
    try:
        fact.source = log_preparation.source_name(str(fact.source))
    except ValidationError as error:
        raise BadFact("invalid", f"source: {' '.join(error.messages)}") from None


def _check_worker(fact: RunStart | NodeStart) -> None:
    try:
        leases.check_terms(fact.worker, fact.lease_seconds)
    except ValidationError as error:
        raise BadFact("invalid", f"worker: {' '.join(error.messages)}") from None


def _check_documents(fact: RunCreate) -> None:
    if fact.queue and fact.is_concurrent:
        raise BadFact("invalid", f"queue: {validators.QUEUED}")
    fact.metadata = validators.with_names(fact.metadata)  # type: ignore[assignment]  # a document stays a document
    for field in ("context", "metadata"):
        try:
            validators.check(field, getattr(fact, field))
        except ValidationError as error:
            raise BadFact("invalid", " ".join(error.messages)) from None


def check_workflow(fact: WorkflowEnsure) -> None:
    if fact.at is not None:
        raise BadFact("invalid", "at: a definition has no time of its own.")
    for pointer, fault in json_validation.iter_errors({"workflow": fact.workflow}):
        raise BadFact("invalid", f"{pointer}: {fault}")


def _check_depths(fact: Fact) -> None:
    for name in fact.TEXTS:
        if not json_validation.is_bounded([document := getattr(fact, name)], json_validation.MAX_DEPTH - 1):
            for pointer, fault in json_validation.iter_errors({name: document}):
                raise BadFact("invalid", f"{pointer}: {fault}")


def _check_sizes(fact: Fact) -> None:
    for name in fact.TEXTS:
        if (
            name not in text_limits.LIMITS
            and getattr(fact, name)
            and (too_large := json_validation.size_fault(getattr(fact, name)))
        ):
            raise BadFact("too_large", f"{name}: {too_large}")
