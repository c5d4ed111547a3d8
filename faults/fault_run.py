"""One fault: strike, wait until the service is back, compare what is stored with what was acknowledged, read the
log."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from django.db import connection

from executions.ledger_checks import check_ledger

from .environment import Environment
from .queue_scenarios import out_of_turn

BACK_IN = 10.0  # seconds, which are allowed
MAX_WAIT = 120.0  # seconds that the service is waited for
NEWEST = 2_000  # runs that are compared after each fault; after the last one, all are
PROBE = 2.0  # seconds
LOGGED_IN = 30  # seconds: a connection that was cut is noticed when it is used, one of upkeep some time later


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `log` is a pattern of what the server must write about it, in which ROW is the id of the row
    that was struck."""

    name: str
    strike: Callable[[Environment], str | None]  # returns what is wrong, beside what is checked for every kind
    log: str


@dataclass
class Outcome:
    tries: int = 0
    recoveries: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # all else, such as an answer that no client should get
    unlogged: int = 0  # tries without a line in the log
    struck: float = 0.0  # seconds of all strikes, until the service was back
    compared: float = 0.0  # seconds

    def __str__(self) -> str:
        back = f"back in {self.recoveries[-1]:.1f} s; " if self.recoveries else ""
        counts = {"lost": self.lost, "doubled": self.doubled, "impossible": self.impossible, "wrong": self.wrong}
        spent = f"; {self.struck:.0f} s to strike, {self.compared:.0f} to compare"
        return f"{self.tries}, {back}" + ", ".join(f"{len(found)} {name}" for name, found in counts.items()) + spent


def try_once(environment: Environment, kind: Kind, outcome: Outcome) -> None:
    """Strike once, and add what follows to the outcome."""
    offset, cuts = environment.site.offset(), environment.cuts
    began = time.monotonic()
    if fault := kind.strike(environment):
        outcome.wrong.append(fault)
    outcome.recoveries.append(_wait_for_service(environment))
    outcome.tries += max(1, environment.cuts - cuts)
    outcome.struck += time.monotonic() - began
    _compare(environment, outcome, NEWEST)
    outcome.unlogged += not _is_logged(environment, kind.log.replace("ROW", environment.struck), offset)


def compare_all(environment: Environment) -> Outcome:
    """Let what waits come to its end, and compare all that was acknowledged since the start."""
    outcome, began = Outcome(), time.monotonic()
    environment.settle()
    if fault := environment.fault_of_messages():
        outcome.wrong.append(fault)
    outcome.struck = time.monotonic() - began
    _compare(environment, outcome, newest=0)
    return outcome


def _compare(environment: Environment, outcome: Outcome, newest: int) -> None:
    began = time.monotonic()
    with environment.database.connect() as session:
        found = environment.journal.compare(session, newest)
        found.impossible += out_of_turn(session)
    found.impossible += [f"{each.name}: {row}" for each in check_ledger(strict=True) for row in each.violations]
    outcome.lost += environment.only_new(found.lost)
    outcome.doubled += environment.only_new(found.doubled)
    outcome.impossible += environment.only_new(found.impossible)
    outcome.wrong += environment.take_errors()
    connection.close()
    outcome.compared += time.monotonic() - began


def _is_logged(environment: Environment, pattern: str, offset: int) -> bool:
    until = time.monotonic() + LOGGED_IN
    while not (found := re.search(pattern, environment.site.log_since(offset))) and time.monotonic() < until:
        time.sleep(0.1)
    return found is not None


def _wait_for_service(environment: Environment) -> float:
    """Return the seconds until the service stores something again, and is ready."""
    began = time.monotonic()
    while time.monotonic() < began + MAX_WAIT:
        if _stores(environment) and environment.is_ready():
            return time.monotonic() - began
        time.sleep(0.05)
    return MAX_WAIT


def _stores(environment: Environment) -> bool:
    body = {"workflow": environment.workflow, "trigger_type": "manual", "metadata": {"allow_concurrent": True}}
    found = environment.calls(PROBE).attempt("executions/", body, str(uuid.uuid4()))
    return found is not None and found[0] == 201


def wait_for_rows(connection: psycopg.Connection, statement: str, seconds: float = 10) -> bool:
    """Wait until a statement finds a row."""
    until = time.monotonic() + seconds
    while not connection.execute(statement).fetchone():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
