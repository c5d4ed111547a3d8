"""The faults of the server's processes, and the list of all."""

import signal
import time

from .environment import Environment
from .fault_run import Kind
from .kinds_of_clients import CLIENTS
from .kinds_of_database import DATABASE
from .kinds_of_receivers import RECEIVERS
from .kinds_of_workers import WORKERS


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


def kill_engine(environment: Environment) -> None:
    at_a_random_moment(environment)
    environment.chance.choice(environment.engines).kill()


KINDS = [
    Kind("kill -9 of the server", kill_server, r"first process of the server is gone"),
    Kind("SIGTERM to the server", stop_server, r"Stopped\."),
    Kind("kill -9 of a worker process", kill_worker, r"A worker process ended \(-9\)"),
    Kind("kill -9 of the upkeep process", kill_upkeep, r"A worker process ended \(-9\)"),
    Kind("kill -9 of an engine that reports", kill_engine),
    *DATABASE,
    *CLIENTS,
    *WORKERS,
    *RECEIVERS,
]
