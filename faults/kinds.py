"""The faults of the server's processes, and the list of all."""

import signal
import time
from collections.abc import Callable

from .environment import Environment
from .fault_run import Kind
from .kinds_of_clients import CLIENTS
from .kinds_of_database import DATABASE
from .kinds_of_receivers import RECEIVERS
from .kinds_of_workers import WORKERS
from .run_scenarios import RUNS

KILLS = 20
DURATION = 0.5  # seconds, which a run of an engine takes
PATIENCE = 60.0  # seconds


def at_a_random_moment(environment: Environment) -> None:
    time.sleep(environment.chance.uniform(0, 1))


def kill_server(environment: Environment) -> None:
    at_a_random_moment(environment)
    environment.site.send(signal.SIGKILL)


def stop_server(environment: Environment) -> None:
    at_a_random_moment(environment)
    environment.site.send(signal.SIGTERM)


def kill_worker(environment: Environment) -> None:
    at_a_random_moment(environment)
    environment.site.kill_worker(environment.chance)


def kill_upkeep(environment: Environment) -> None:
    at_a_random_moment(environment)
    environment.site.kill_upkeep(environment.chance)


def kill_engine(environment: Environment) -> str | None:
    """Kill an engine in the middle of a run, and wait until upkeep has ended that run. One that is killed elsewhere is
    killed again."""
    for _each in range(KILLS):
        run = kill_in_a_run(environment)
        status, environment.struck = wait_for_end(environment, run), run
        if status in {"failed", "running"}:
            return None if status == "failed" else f"{run}, of an engine that was killed, is running for ever"
    return f"{KILLS} engines were killed, and none left a run behind"


def kill_in_a_run(environment: Environment) -> str:
    """Return the id of the run that the engine began last, which may be over."""
    at_a_random_moment(environment)
    engine = environment.chance.choice(environment.engines)
    before = engine.began
    wait_until(lambda: engine.began != before)
    time.sleep(environment.chance.uniform(0, DURATION))
    engine.kill()
    return engine.began


def wait_for_end(environment: Environment, run: str) -> str:
    """Return the status of the run after the end of its lease; "" if it was not reported."""
    wait_until(lambda: status_of(environment, run) != "running", environment.lease + PATIENCE)
    return status_of(environment, run)


def status_of(environment: Environment, run: str) -> str:
    _status, content = environment.calls().answer(f"{RUNS}{run}/", None)
    return str(content.get("status", ""))


def wait_until(is_so: Callable[[], bool], seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)


KINDS = [
    Kind("kill -9 of the server", kill_server, r"first process of the server is gone"),
    Kind("SIGTERM to the server", stop_server, r"Stopped\."),
    Kind("kill -9 of a worker process", kill_worker, r"A worker process ended \(-9\)"),
    Kind("kill -9 of the upkeep process", kill_upkeep, r"A worker process ended \(-9\)"),
    Kind(
        "kill -9 of an engine that reports",
        kill_engine,
        "Upkeep ended attempt 1 of WorkflowExecution ROW: lease_expired",
    ),
    *DATABASE,
    *CLIENTS,
    *WORKERS,
    *RECEIVERS,
]
