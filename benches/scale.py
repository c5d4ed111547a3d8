"""Measure how lists of the API and pages of the admin grow with the ledger: p50 and p95 of each, at several sizes.

`python -m benches.scale [--sizes 20000,1000000,10000000] [--calls 5] [--rounds 2]` first seeds a database for each
size, beside the configured one, and keeps it: an interrupted run goes on. Then each round measures every size.
Requests are made in this process, by one client. It fails if an answer misses a goal: 50 ms of the API, 150 ms of the
admin, 1.5 times the value at the smallest size. `--seed` only seeds, `--drop` removes the databases.

For a machine that has other work: `--real-time` puts this process and its database connections before all others
(needs root); `--processor-time` measures that of both, without parallel workers, instead of the clock (needs Linux, and
a server on this machine).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

import psycopg  # must come after django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, connections
from django.db.models import Count
from django.test import Client

from benches import copied_ledgers, lists
from benches.output import out
from executions.models import NodeExecution, WorkflowExecution
from executions.upkeep import rollups
from ledgerkit.db.timeouts import no_limit
from pastetrader import startup
from pastetrader.collect_static import collect_if_changed
from tokens.models import Scope, Token
from workflows.models import Workflow

SIZES = "20000,1000000,10000000"
MOST_ROWS = 10_000_000  # node executions and log lines: five of each per run, up to this number
SEEDED = 50_000  # runs that seed_ledger makes; the others are copies of these
API_MS, ADMIN_MS, GROWTH = 50.0, 150.0, 1.5
LONG_MS = 3_000.0  # after so many, two calls are enough
NOISE_MS = 3.0  # a growth by less is none
RUNS, NODES = "/admin/executions/workflowexecution/", "/admin/executions/nodeexecution/"


class Times(NamedTuple):
    p50: float
    p95: float


type Clock = Callable[[], float]  # seconds
type Calls = tuple[str, list[float]]  # milliseconds of each call of an address
type Measured = list[tuple[str, Times]]


def pages() -> Iterator[str]:
    """Yield pages of the admin: lists, filters, and pages of the busiest workflow and of a run with a failed node."""
    busiest = Workflow.objects.annotate(runs=Count("executions")).order_by("-runs")[0]
    failed = WorkflowExecution.objects.filter(workflow=busiest, status="failed", failed_nodes__gt=0).order_by("-id")[0]
    node = NodeExecution.objects.filter(workflow_execution=failed).order_by("id")[0]
    yield "/admin/"
    yield from (f"{RUNS}{each}" for each in (
        "", "?status=failed", "?status=running", f"?workflow={busiest.pk}", "?pace=slow", "?q=desk-1",
        "?trigger_type=event&status=failed", f"{failed.pk}/change/", f"{failed.pk}/change/?compare=1",
        f"{failed.pk}/logs/", f"{failed.pk}/logs/?level=error",
    ))  # fmt: skip
    yield from (NODES, f"{NODES}?status=failed", "/admin/executions/executionlog/", f"{NODES}{node.pk}/change/")
    yield from ("/admin/workflows/workflow/", f"/admin/workflows/workflow/{busiest.pk}/")


@contextmanager
def database(runs: int) -> Iterator[None]:
    """Connect to the database of this size, which is created at first."""
    before, name = connection.settings_dict["NAME"], f"bench_scale_{runs}"
    create_database(name)
    use_database(name)
    try:
        yield
    finally:
        use_database(before)


def create_database(name: str) -> None:
    with server() as client:
        if not client.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            client.execute(f"CREATE DATABASE {name}")


def drop_database(name: str) -> None:
    with server() as client:
        client.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def server() -> psycopg.Connection:
    given = {**connection.get_connection_params(), "dbname": connection.settings_dict["NAME"]}
    names = ("dbname", "host", "port", "user", "password")
    return psycopg.connect(**{name: given[name] for name in names if given.get(name)}, autocommit=True)


def use_database(name: str) -> None:
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's backend
    connection.settings_dict["NAME"] = name


def fill(runs: int) -> None:
    """Seed the ledger, or go on where an interrupted seed ended. A complete one is kept."""
    call_command("migrate", verbosity=0)
    seeded = min(runs, SEEDED)
    with no_limit():
        there = seeded if copied_ledgers.is_interrupted() else WorkflowExecution.objects.count()
    if there < seeded:
        rows = min(MOST_ROWS, 5 * runs) * seeded // runs
        again = ["--resume"] if Workflow.objects.exists() else []
        call_command("seed_ledger", *again, runs=seeded, nodes=rows, lines=rows)
        there = seeded
    if runs > there == seeded:
        copied_ledgers.multiply(runs // seeded - 1)


def seed(sizes: list[int]) -> None:
    """Seed all of them before one is measured: the largest takes an hour."""
    for size in sizes:
        with database(size):
            out(f"{size:,} runs")
            fill(size)


def measure(sizes: list[int], rounds: int, calls: int, *, real_time: bool, processor_time: bool) -> list[Measured]:
    """Return the times of each address at each size. Each round measures every size, so that other work of the machine
    falls on all of them."""
    took: dict[int, list[Calls]] = {}
    for number in range(rounds):
        for size in sizes:
            with database(size):
                if not number:
                    took[size] = [(address, []) for address in addresses()]
                if real_time:
                    go_first()
                _measure_once(took[size], calls, processor_clock() if processor_time else time.perf_counter)
    return [[(address, _times(each)) for address, each in took[size]] for size in sizes]


def addresses() -> list[str]:
    """Return the addresses of the API and the admin, after closing the hours of this ledger."""
    rollups.apply(lambda _done, _expected: None)
    with no_limit():
        return [*(f"/api/v1/{each}" for each in lists.addresses()), *pages()]


def backend() -> int:
    """Return the process of the database connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def go_first() -> None:
    for process in (0, backend()):
        os.sched_setscheduler(process, os.SCHED_RR, os.sched_param(1))


def _client() -> Client:
    """Return a client with a token for the API and a session for the admin."""
    users = get_user_model().objects
    user = users.filter(username="bench").first() or users.create_superuser("bench")
    _row, secret = Token.objects.issue(user=user, name="bench", scopes=list(Scope.values))
    client = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Token {secret}"})
    client.force_login(user)
    return client


def _measure_once(took: list[Calls], calls: int, clock: Clock) -> None:
    client = _client()
    for address, found in took:
        found.extend(_milliseconds(client, address, calls, clock))


def _milliseconds(client: Client, address: str, calls: int, clock: Clock) -> list[float]:
    """Return how long each of the calls took, without the first one."""
    took: list[float] = []
    for _ in range(calls + 1):
        began = clock()
        answer = client.get(address)
        took.append((clock() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code}")
        if len(took) > 2 and sum(took) > LONG_MS:
            break
    return took[1:]


def processor_clock() -> Clock:
    """Return a clock of the processor time of this process and of its database connection."""
    statistics_of_backend = Path(f"/proc/{backend()}/schedstat")
    return lambda: time.process_time() + int(statistics_of_backend.read_text().split()[0]) / 1e9


def _times(took: list[float]) -> Times:
    return Times(statistics.median(took), statistics.quantiles(took, n=20)[-1])


def faults(address: str, times: list[Times]) -> Iterator[str]:
    first, last = times[0], times[-1]
    most = API_MS if address.startswith("/api/") else ADMIN_MS
    if last.p50 > most:
        yield f"over {most:.0f} ms"
    if last.p50 > first.p50 * GROWTH and last.p50 - first.p50 > NOISE_MS:
        yield f"{last.p50 / first.p50:.1f} times"


def report(sizes: list[int], measured: list[Measured]) -> int:
    """Print a line for each address; return how many miss a goal. Their ids differ, so they are matched by place."""
    out(f"{'p50 / p95, ms':64}" + "".join(f"{size:>18,}" for size in sizes))
    number = 0
    for row in zip(*measured, strict=True):
        address, times = row[0][0], [times for _address, times in row]
        missed = list(faults(address, times))
        number += bool(missed)
        shown = address if len(address) < 64 else f"{address[:31]}…{address[-31:]}"
        cells = "".join(f"{each.p50:>10.1f} /{each.p95:>6.1f}" for each in times)
        out(f"{shown:64}{cells}  {', '.join(missed)}")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--calls", type=int, default=5, help="of each address in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--real-time", action="store_true")
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--seed", action="store_true")
    parser.add_argument("--drop", action="store_true")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.drop:
        for size in sizes:
            drop_database(f"bench_scale_{size}")
        return
    seed(sizes)
    if options.seed:
        return
    collect_if_changed()  # the admin's pages name static files by their hashes
    startup.freeze_loaded_objects()  # as a server does
    how = {"real_time": options.real_time, "processor_time": options.processor_time}
    if missed := report(sizes, measure(sizes, options.rounds, options.calls, **how)):
        raise SystemExit(f"{missed} answers miss a goal.")


if __name__ == "__main__":
    main()
