"""The faults of the database."""

import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg

from .calls import Calls
from .environment import Environment
from .fault_run import Kind, wait_for_rows

RUNS = "executions/"
DOWN = "database did not serve|database fails|connection failed|connection is bad"
CUT = f"{DOWN}|connection to the database was closed|database does not notify"  # in use, idle, or listening
# Not those of this process, which compares: the log of the server does not tell of them.
OF_SERVER = "backend_type = 'client backend' AND application_name = 'pastetrader serve'"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))"


def stop_fast(environment: Environment) -> None:
    _restart(environment, "fast")


def stop_immediately(environment: Environment) -> None:
    _restart(environment, "immediate")


def _restart(environment: Environment, mode: str) -> None:
    time.sleep(environment.chance.uniform(0, 1))
    environment.database.stop(mode)
    time.sleep(environment.chance.uniform(0.2, 2))
    environment.database.start()


def kill_database(environment: Environment) -> None:
    time.sleep(environment.chance.uniform(0, 1))
    environment.database.kill()
    environment.database.start()


def cut_connections(environment: Environment) -> None:
    """End all connections of the server, in the middle of whatever they do."""
    time.sleep(environment.chance.uniform(0, 0.3))
    with environment.database.connect() as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OF_SERVER}")


def cut_one_connection(environment: Environment) -> None:
    """End a connection that works or was used a moment ago. One that nobody uses is noticed, and told, when it is."""
    time.sleep(environment.chance.uniform(0, 0.1))
    with environment.database.connect() as connection:
        connection.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OF_SERVER}"
            " ORDER BY state = 'active' DESC, state_change > now() - interval '1 s' DESC, random() LIMIT 1"
        )


def fill_disk(environment: Environment) -> str | None:
    """Leave nothing of the disk for three seconds."""
    if not environment.database.has_disk:
        return "not done: only root can mount a disk of its own"
    ballast = [environment.database.disk / f"ballast {number}" for number in range(2)]
    until = time.monotonic() + 3
    while time.monotonic() < until:  # rows take new blocks, and checkpoints free some
        for path in ballast:
            _fill(path)
        time.sleep(0.1)
    for path in ballast:
        path.unlink(missing_ok=True)
    with suppress(psycopg.OperationalError), environment.database.connect():
        return None
    environment.database.start()  # it ends itself where it cannot write its log
    return None


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1_000_000))
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1_000))


def lock_table(environment: Environment) -> str | None:
    """Hold the lock of DDL on the runs for longer than requests wait for a connection."""
    with environment.database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE workflow_executions ADD COLUMN by_somebody integer")
        return _request_meanwhile(environment, str(uuid.uuid4()), connection)


def exhaust_pool(environment: Environment) -> str | None:
    """Hold the rows that all connections of the server then wait for, while forty requests want one."""
    created = environment.calls().act(
        RUNS, {"workflow": environment.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}
    )["id"]
    with environment.database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM workflow_executions WHERE id = %s FOR UPDATE", [created])
        return _request_meanwhile(environment, created, connection)


def _request_meanwhile(environment: Environment, run: str, connection: psycopg.Connection) -> str | None:
    """Send forty requests about a run while the connection holds its lock. All are answered, and some with 503."""
    answers: list[int] = []
    threads = [threading.Thread(target=_start, args=(environment.calls(), run, answers)) for _ in range(40)]
    for thread in threads:
        thread.start()
    time.sleep(4)
    connection.execute("ROLLBACK")
    for thread in threads:
        thread.join()
    is_right = {503} <= set(answers) <= {503, 200, 409, 404}
    return None if is_right else f"the answers were {dict(Counter(answers))}"


def _start(calls: Calls, run: str, answers: list[int]) -> None:
    found = calls.attempt(f"{RUNS}{run}/start/", {}, str(uuid.uuid4()))
    answers.append(found[0] if found else 0)


def deadlock(environment: Environment) -> str | None:
    """Lock two runs in the other order than a batch of facts, and wait longer than it does."""
    body = {"workflow": environment.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}
    first, second = sorted(environment.calls().act(RUNS, body)["id"] for _ in range(2))
    lock = "SELECT FROM workflow_executions WHERE id = %s FOR UPDATE"
    found: list[int] = []
    thread = threading.Thread(target=_start_both, args=(environment, first, second, found))
    with environment.database.connect() as other, environment.database.connect(deadlock_timeout="60s") as connection:
        with connection.transaction():
            connection.execute(lock, [second])
            thread.start()
            wait_for_rows(other, WAITING.format(pid=connection.info.backend_pid))
            connection.execute(lock, [first])
    thread.join()
    return None if found == [2] else f"the batch was answered {found}"


def _start_both(environment: Environment, first: str, second: str, found: list[int]) -> None:
    facts = [{"kind": "execution.start", "id": run} for run in (first, second)]
    answer = environment.calls().act("events/", facts)
    found.append(answer["applied"] + answer["known"])


DATABASE = [
    Kind("PostgreSQL stopped (fast)", stop_fast, DOWN),
    Kind("PostgreSQL stopped (immediate)", stop_immediately, DOWN),
    Kind("kill -9 of PostgreSQL", kill_database, DOWN),
    Kind("all connections to PostgreSQL cut", cut_connections, CUT),
    Kind("one connection to PostgreSQL cut", cut_one_connection, CUT),
    Kind("disk of the database full", fill_disk, "No space left|DiskFull"),
    Kind("table locked by DDL", lock_table, "PoolTimeout|LockNotAvailable"),
    Kind("pool exhausted", exhaust_pool, "PoolTimeout|TooManyRequests"),
    Kind("deadlock", deadlock, "DeadlockDetected"),
]
