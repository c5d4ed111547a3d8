"""The queue of a workflow of which one run may run: one client makes queued runs, one after the other, and two others
try to start whichever they like. Each run starts once, in its turn."""

import random
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial

import psycopg
import uuid_utils

from .calls import PATIENCE, Calls, Unanswered
from .journal import Journal, Record
from .run_scenarios import RUNS

MOST_WAITING = 4
STARTERS = 2
PAUSE = 0.1
LAPSE = 0.05  # of the runs, those whose worker falls silent
OVER = {"invalid_transition", "fenced", "stale_execution"}  # the other starter has it

# The runs of queues as the history has them. Their creations do not overlap, so `created_at` is their order.
QUEUED = """
SELECT run.id, workflow_id, created_at, count(*) FILTER (WHERE to_status = 'running') AS starts,
    min(happened_at) FILTER (WHERE to_status <> 'pending') AS left_at
FROM workflow_executions AS run JOIN execution_history AS entry ON workflow_execution_id = run.id
WHERE is_queued AND node_execution_id IS NULL GROUP BY run.id
"""
WRONG = f"""
SELECT id::text, starts, left_at::text, before::text FROM (
    SELECT *, max(coalesce(left_at, 'infinity')) OVER (
        PARTITION BY workflow_id ORDER BY created_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS before
    FROM ({QUEUED}) AS queued
) AS placed WHERE starts > 1 OR (starts = 1 AND left_at < before)
"""  # of constants


def out_of_turn(connection: psycopg.Connection) -> list[str]:
    """Return the queued runs that started twice, or while one that was created before them waited."""
    found = connection.execute(WRONG).fetchall()
    return [
        f"queued run {run}: {starts} starts, the first at {at}, before {before}" for run, starts, at, before in found
    ]


class Queue:
    """`errors` are answers that no client should get."""

    def __init__(self, calls: Callable[[], Calls], journal: Journal, workflow: str, seed: str) -> None:
        self.calls, self.journal, self.workflow = calls, journal, workflow
        self.waiting: dict[str, Record] = {}
        self.lock = threading.Lock()
        self.errors: list[str] = []
        self.started = 0
        self.is_wanted = True
        starters = [(self._start_runs, f"{seed} {number}") for number in range(STARTERS)]
        self.threads = [
            threading.Thread(target=act, args=(calls(), random.Random(seed)), daemon=True)
            for act, seed in [(self._make_runs, seed), *starters]
        ]
        for thread in self.threads:
            thread.start()

    def drain(self) -> None:
        """Make no more runs, and wait until those that wait have started and ended."""
        self.is_wanted = False
        for thread in self.threads:
            thread.join(PATIENCE)
        self.errors += [f"queued run {run} has not started" for run in self.waiting]

    # --- the client that makes runs ------------------------------------------------
    def _make_runs(self, calls: Calls, chance: random.Random) -> None:
        while self.is_wanted:
            if len(self.waiting) >= MOST_WAITING:
                time.sleep(PAUSE)
                continue
            if run := self._noting(lambda: self._make(calls, chance)):
                record = Record(run, {run: 1}, ahead=1)
                self.journal.add(record)
                with self.lock:
                    self.waiting[run] = record

    def _make(self, calls: Calls, chance: random.Random) -> str:
        body = {
            "workflow": self.workflow,
            "trigger_type": "event",
            "queue": True,
            "context": {"key": str(uuid.uuid4())},
        }
        if chance.randrange(2):
            return str(calls.act(RUNS, body)["id"])
        run = str(uuid_utils.uuid7())
        found = calls.act("events/", [{"kind": "execution.create", "id": run, **body}])
        if found["refused"]:
            raise Unanswered(f"a queued run was refused: {found['refusals']}")
        return run

    def _noting(self, act: Callable[[], str]) -> str | None:
        """Return what `act` returns, None if it is not answered as it should be."""
        try:
            return act()
        except Unanswered as error:
            self.errors.append(str(error))
            return None

    # --- the clients that start them -----------------------------------------------
    def _start_runs(self, calls: Calls, chance: random.Random) -> None:
        while self.is_wanted or self.waiting:
            with self.lock:
                runs = list(self.waiting)
            if not runs:
                time.sleep(PAUSE)
                continue
            self._noting(partial(self._try, calls, chance.choice(runs), chance))
            time.sleep(PAUSE / 2)

    def _try(self, calls: Calls, run: str, chance: random.Random) -> str:
        """Start the run if it may, and end it."""
        is_silent = chance.random() < LAPSE
        start = start_by_fact if chance.randrange(2) else start_by_call
        if start(calls, run, 1 if is_silent else None):
            self._end(calls, self._take(run), chance, is_silent=is_silent)
        return run

    def _take(self, run: str) -> Record:
        with self.lock:
            record = self.waiting.pop(run, None)
        if record is None:
            raise Unanswered(f"queued run {run} was started twice")
        record.versions[run], self.started = 2, self.started + 1
        return record

    def _end(self, calls: Calls, record: Record, chance: random.Random, *, is_silent: bool) -> None:
        time.sleep(chance.uniform(0, PAUSE))
        if is_silent:
            wait_for_end(calls, record.run)
        else:
            verb, body = chance.choice([("complete", {}), ("fail", {"error_message": "on purpose"}), ("cancel", {})])
            calls.act(f"{RUNS}{record.run}/{verb}/", body)
        record.versions[record.run], record.ahead = 3, 0


def start_by_call(calls: Calls, run: str, seconds: int | None) -> bool:
    """Start the run by its own address. Return False if it waits, or the other starter has it."""
    status, found = calls.answer(f"{RUNS}{run}/start/", {"lease_seconds": seconds} if seconds else {})
    if status == 200:
        return True
    if status == 409 and found["code"] in {"queued", *OVER}:
        return False
    raise Unanswered(f"{status} to the start of {run}: {found}")


def start_by_fact(calls: Calls, run: str, seconds: int | None) -> bool:
    """Start the run by a fact, with a token by which a repeated answer is known to be about this start."""
    fact = {"kind": "execution.start", "id": run, "attempt": 1, "token": str(uuid.uuid4()), "lease_seconds": seconds}
    found = calls.act("events/", [{name: value for name, value in fact.items() if value is not None}])
    if not found["refused"]:
        return True
    if found["refusals"][0]["code"] in {"queued", *OVER}:
        return False
    raise Unanswered(f"the start of {run} was refused: {found['refusals']}")


def wait_for_end(calls: Calls, run: str) -> None:
    """Wait until upkeep has failed the run, whose lease has expired."""
    until = time.monotonic() + PATIENCE
    while (found := calls.read(f"{RUNS}{run}/"))["status"] == "running":
        if time.monotonic() > until:
            raise Unanswered(f"{run} is running, though its lease has expired: no upkeep has ended it")
        time.sleep(PAUSE * 5)
    if found["error_code"] != "lease_expired":
        raise Unanswered(f"{run} is {found['status']}, code {found['error_code']!r}")
