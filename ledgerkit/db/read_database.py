"""The database that a request reads: the primary, or the replica that `LEDGERKIT["REPLICA"]` names. It is decided once,
at the request's first read of the ledger. Everything but requests that only read uses the primary."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cached_property

from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import QueryCanceled, SerializationFailure

from ledgerkit.conf import ledgerkit_settings

from .last_writes import last_write
from .pool import release_connection
from .replica_watch import Place, watch


class ReplicaFailed(Exception):
    """Failure of the replica within a request, which the middleware repeats. Not a DatabaseError, because some pages
    catch that to leave out a part."""


class RequestReads:
    """The choice of one request. `caller` identifies who sent it, once that is known."""

    def __init__(self, caller: Callable[[], str | None]) -> None:
        self.caller = caller
        self.is_used = self.has_failed = False  # of the replica
        self.work = ExitStack()

    @cached_property
    def place(self) -> Place | None:
        """The place in the primary's WAL that the replica has at least reached; None if the primary is read."""
        try:
            place = watch.reached_place()
            return place if place and self._may_read(place) and self._connects() else None
        except Error:
            return None

    def _may_read(self, place: Place) -> bool:
        """Return whether the replica has what the caller wrote."""
        caller = self.caller()
        written = None if caller is None else last_write(caller)
        return (written is None or written < place.time) and not connections[DEFAULT_DB_ALIAS].in_atomic_block

    def _connects(self) -> bool:
        """Connect to the replica, and give the primary's connection back to the pool meanwhile."""
        connection = connections[str(ledgerkit_settings.REPLICA)]
        connection.ensure_connection()
        self.work.enter_context(connection.execute_wrapper(self._execute))
        release_connection(DEFAULT_DB_ALIAS)
        self.is_used = True
        return True

    def _execute(self, execute: Callable[..., object], *arguments: object) -> object:
        with self.failures():
            return execute(*arguments)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Raise ReplicaFailed in place of an error of the replica, but that of a time limit."""
        try:
            yield
        except Error as error:
            if isinstance(error.__cause__, QueryCanceled):
                raise
            if _is_of_connection(error):
                watch.lose(error)
                # So that the transaction ends without another error.
                connections[str(ledgerkit_settings.REPLICA)].close()
            self.has_failed, self.place = True, None
            raise ReplicaFailed from error


def _is_of_connection(error: Error) -> bool:
    """Return False for an error of one statement: a conflict with the replay, or a column that is not there yet."""
    is_conflict = isinstance(error.__cause__, SerializationFailure)
    return isinstance(error, OperationalError | InterfaceError) and not is_conflict


_reads: ContextVar[RequestReads | None] = ContextVar("reads", default=None)


@contextmanager
def reading(caller: Callable[[], str | None]) -> Iterator[RequestReads]:
    """Let the reads within the block choose the replica."""
    reads = RequestReads(caller)
    before = _reads.set(reads)
    try:
        with reads.work:
            yield reads
    finally:
        _reads.reset(before)


def read_alias() -> str:
    """Return the alias of the database to read."""
    return DEFAULT_DB_ALIAS if current_place() is None else str(ledgerkit_settings.REPLICA)


def current_place() -> Place | None:
    """Return the place that the replica has reached if it is read, else None."""
    reads = _reads.get()
    return reads.place if reads else None


def read_primary() -> None:
    """Read the primary from here to the end of the request."""
    if reads := _reads.get():
        reads.place = None


@contextmanager
def read_transaction(*, savepoint: bool = True) -> Iterator[BaseDatabaseWrapper]:
    """Yield the connection to read, in a transaction or a savepoint. Raises ReplicaFailed if the replica fails, also at
    the end of the transaction."""
    using, reads = read_alias(), _reads.get()
    with ExitStack() as stack:
        if reads is not None and using != DEFAULT_DB_ALIAS:
            stack.enter_context(reads.failures())
        stack.enter_context(transaction.atomic(using=using, savepoint=savepoint))
        yield connections[using]
