"""The faults of the server's processes, and the list of all."""

import signal
import time

from .kinds_of_clients import CLIENTS
from .kinds_of_database import DATABASE
from .kinds_of_receivers import RECEIVERS
from .kinds_of_workers import WORKERS
from .trial import Kind
from .world import World


def at_a_random_moment(world: World) -> None:
    time.sleep(world.chance.uniform(0, 1))


def kill_server(world: World) -> None:
    at_a_random_moment(world)
    world.site.send(signal.SIGKILL)


def stop_server(world: World) -> None:
    at_a_random_moment(world)
    world.site.send(signal.SIGTERM)


def kill_worker(world: World) -> None:
    at_a_random_moment(world)
    world.site.kill_worker(world.chance)


def kill_upkeep(world: World) -> None:
    at_a_random_moment(world)
    world.site.kill_upkeep(world.chance)


def kill_engine(world: World) -> None:
    at_a_random_moment(world)
    world.chance.choice(world.engines).kill()


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
