"""The faults of the database."""

import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg

from .calls import Calls
from .trial import Kind, wait_for_rows
from .world import World

RUNS = "executions/"
DOWN = "database did not serve|database fails|connection failed|connection is bad"
OF_SERVER = "backend_type = 'client backend' AND application_name <> 'faults'"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))"


def stop_fast(world: World) -> None:
    _restart(world, "fast")


def stop_immediately(world: World) -> None:
    _restart(world, "immediate")


def _restart(world: World, mode: str) -> None:
    time.sleep(world.chance.uniform(0, 1))
    world.database.stop(mode)
    time.sleep(world.chance.uniform(0.2, 2))
    world.database.start()


def kill_database(world: World) -> None:
    time.sleep(world.chance.uniform(0, 1))
    world.database.kill()
    world.database.start()


def cut_connections(world: World) -> None:
    """End all connections of the server, in the middle of whatever they do."""
    time.sleep(world.chance.uniform(0, 0.3))
    with world.database.connect() as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OF_SERVER}")


def cut_one_connection(world: World) -> None:
    time.sleep(world.chance.uniform(0, 0.1))
    with world.database.connect() as connection:
        connection.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OF_SERVER}"
            " ORDER BY state = 'active' DESC, random() LIMIT 1"
        )


def fill_disk(world: World) -> str | None:
    """Leave nothing of the disk for three seconds."""
    if not world.database.has_disk:
        return "not done: only root can mount a disk of its own"
    ballast = [world.database.disk / f"ballast {number}" for number in range(2)]
    until = time.monotonic() + 3
    while time.monotonic() < until:  # rows take new blocks, and checkpoints free some
        for path in ballast:
            _fill(path)
        time.sleep(0.1)
    for path in ballast:
        path.unlink(missing_ok=True)
    with suppress(psycopg.OperationalError), world.database.connect():
        return None
    world.database.start()  # it ends itself where it cannot write its log
    return None


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1_000_000))
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1_000))


def lock_table(world: World) -> str | None:
    """Hold the lock of DDL on the runs for longer than requests wait for a connection."""
    with world.database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE workflow_executions ADD COLUMN by_somebody integer")
        return _request_meanwhile(world, str(uuid.uuid4()), connection)


def exhaust_pool(world: World) -> str | None:
    """Hold the rows that all connections of the server then wait for, while forty requests want one."""
    created = world.calls().act(
        RUNS, {"workflow": world.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}
    )["id"]
    with world.database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM workflow_executions WHERE id = %s FOR UPDATE", [created])
        return _request_meanwhile(world, created, connection)


def _request_meanwhile(world: World, run: str, connection: psycopg.Connection) -> str | None:
    """Send forty requests about a run while the connection holds its lock. All are answered, and some with 503."""
    answers: list[int] = []
    threads = [threading.Thread(target=_start, args=(world.calls(), run, answers)) for _ in range(40)]
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


def deadlock(world: World) -> str | None:
    """Lock two runs in the other order than a batch of facts, and wait longer than it does."""
    body = {"workflow": world.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}
    first, second = sorted(world.calls().act(RUNS, body)["id"] for _ in range(2))
    lock = "SELECT FROM workflow_executions WHERE id = %s FOR UPDATE"
    found: list[int] = []
    thread = threading.Thread(target=_start_both, args=(world, first, second, found))
    with world.database.connect() as other, world.database.connect(deadlock_timeout="60s") as connection:
        with connection.transaction():
            connection.execute(lock, [second])
            thread.start()
            wait_for_rows(other, WAITING.format(pid=connection.info.backend_pid))
            connection.execute(lock, [first])
    thread.join()
    return None if found == [2] else f"the batch was answered {found}"


def _start_both(world: World, first: str, second: str, found: list[int]) -> None:
    facts = [{"kind": "execution.start", "id": run} for run in (first, second)]
    answer = world.calls().act("events/", facts)
    found.append(answer["applied"] + answer["known"])


DATABASE = [
    Kind("PostgreSQL stopped (fast)", stop_fast, DOWN, is_limited=True),
    Kind("PostgreSQL stopped (immediate)", stop_immediately, DOWN, is_limited=True),
    Kind("kill -9 of PostgreSQL", kill_database, DOWN, is_limited=True),
    Kind(
        "all connections to PostgreSQL cut",
        cut_connections,
        r"did not serve|database fails|connection",
        is_limited=True,
    ),
    Kind("one connection to PostgreSQL cut", cut_one_connection),
    Kind("disk of the database full", fill_disk, "No space left|DiskFull", is_limited=True),
    Kind("table locked by DDL", lock_table, "PoolTimeout|LockNotAvailable", is_limited=True),
    Kind("pool exhausted", exhaust_pool, "PoolTimeout|TooManyRequests", is_limited=True),
    Kind("deadlock", deadlock, "DeadlockDetected", is_limited=True),
]
