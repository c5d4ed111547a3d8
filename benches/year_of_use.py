"""A year of a ledger that is left alone: with a moved clock, engines report runs every day, upkeep runs every day, and
after a year the database must be as large and as fast as before.

`python -m benches.moved_clock benches.year_of_use [--runs 40] [--days 365]` prints a table, and fails if the database
grew by more than a tenth, or if a list or page takes more than 1.5 times of its first p50. The year begins once upkeep
removes as much as comes: when the first records of deleted runs are over. Before it, the clock moves by weeks. VACUUM
runs each week, as autovacuum would in a real year.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

from django.contrib.auth import get_user_model  # must come after django.setup()
from django.core.management import call_command
from django.db import connection
from django.test import Client

from benches.moved_clock import Clock
from benches.output import out
from executions.conf import executions_settings
from executions.facts import record
from executions.models import UpkeepRun
from executions.upkeep import runner
from ledgerkit.db.models import uuid7
from ledgerkit.db.timeouts import no_limit
from tokens.models import Scope, Token
from workflows.models import Node, Workflow

WORKFLOWS, DAY = 5, 86_400
NODES, LINES = ("fetch", "rank", "report"), 10
FAILS = 0.1
KEYS = 1  # calls a day with an idempotency key, of runs with a secret
MOST_GROWTH, MOST_TIMES = 0.10, 1.5
ROUNDS, REQUESTS = 8, 10
LISTS = {
    "GET executions/": "/api/v1/executions/",
    "GET executions/?status=failed": "/api/v1/executions/?status=failed",
    "GET executions/?workflow=": "/api/v1/executions/?workflow={workflow}",
    "GET node-executions/?status=failed": "/api/v1/node-executions/?status=failed",
    "GET executions/{id}/logs/": "/api/v1/executions/{run}/logs/",
    "monitor": "/admin/",
    "list of runs": "/admin/executions/workflowexecution/",
    "deletions": "/admin/executions/deletion/",
}
GROUPS = {
    "runs": ["workflow_executions", "node_executions", "execution_history", "%_attempts", "execution_dropped_lines"],
    "log lines": ["execution_logs%"],
    "records of deleted runs": ["execution_deletions"],
    "index of the archive": ["execution_archive%"],
}
SIZE = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname LIKE ANY(%s)
"""


@dataclass
class State:
    """Bytes of each group of tables, and the p50 of each list in milliseconds."""

    day: int
    runs: int
    sizes: dict[str, int]
    p50: dict[str, float]


class Shop:
    """Engines that report, and a person who changes a definition each week."""

    def __init__(self, runs: int) -> None:
        self.user = get_user_model().objects.create_superuser("bench")
        _row, self.secret = Token.objects.issue(user=self.user, name="bench", scopes=list(Scope.values))
        self.workflows = [Workflow.objects.create(owner=self.user, name=f"shop {n}") for n in range(WORKFLOWS)]
        for workflow in self.workflows:
            Node.objects.bulk_create(Node(workflow=workflow, name=name, node_type="tool") for name in NODES)
        self.api = Client(headers={"host": "127.0.0.1", "authorization": f"Token {self.secret}"})
        self.day, self.runs, self.random, self.last = 0, runs, Random(3), ""  # noqa: S311  # not for cryptography

    def work(self, clock: Clock, days: int) -> None:
        """Report the runs of some days, and move the clock to their end."""
        clock.move(days * DAY)
        self.day += days
        record([fact for _ in range(days * self.runs) for fact in self._facts()], user=self.user)
        for number in range(KEYS * days):
            context = {"secrets": {"key": f"hunter2-{self.day}-{number}"}}
            run = {"workflow": str(self.workflows[0].pk), "trigger_type": "manual", "context": context}
            made = self._post("/api/v1/executions/", run, 201, **{"idempotency-key": str(uuid7())})
            self._post(f"/api/v1/executions/{made['id']}/cancel/", {}, 200)
        if self.day % 7 == 0:
            node = Node.objects.get(workflow=self.random.choice(self.workflows), name="rank")
            node.config = {"weight": self.day}
            node.save()

    def _post(self, address: str, body: Mapping[str, object], status: int, **headers: str) -> dict[str, object]:
        response = self.api.post(address, body, "application/json", headers=headers)
        if response.status_code != status:
            raise SystemExit(f"{address}: {response.content!r}")
        return dict(response.json())

    def _facts(self) -> Iterator[dict[str, object]]:
        run, fails = str(uuid7()), self.random.random() < FAILS
        self.last = run
        of_run = {"id": run}
        workflow = str(self.random.choice(self.workflows).pk)
        create = {"workflow": workflow, "trigger_type": "schedule", "input_data": {"symbol": "AAPL", "rows": 2_368}}
        yield {"kind": "execution.create", **of_run, **create, "metadata": {"allow_concurrent": True}}
        yield {"kind": "execution.start", **of_run}
        for place, name in enumerate(NODES):
            node = {"id": str(uuid7()), "workflow_execution": run}
            is_bad = fails and place == len(NODES) - 1
            yield {"kind": "node.create", **node, "node": name, "input_data": {"of": name}}
            yield {"kind": "node.start", **node}
            end = {"error_message": "ValueError: no rows"} if is_bad else {"output_data": {"rows": 2_368}}
            yield {"kind": "node.fail" if is_bad else "node.complete", **node, **end}
        for number in range(LINES):
            line = {"level": "info", "message": f"loaded {number} of 2,368 rows of AAPL", "data": {"rows": number}}
            yield {"kind": "log", "id": str(uuid7()), "workflow_execution": run, **line}
        error = {"error_message": "ValueError: no rows"}
        yield {"kind": "execution.fail" if fails else "execution.complete", **of_run, **(error if fails else {})}

    def measure(self) -> State:
        browser = Client(headers={"host": "127.0.0.1"})
        browser.force_login(self.user)
        values = {"workflow": self.workflows[1].pk, "run": self.last}
        addresses = {name: address.format(**values) for name, address in LISTS.items()}
        clients = {name: browser if "/admin/" in address else self.api for name, address in addresses.items()}
        p50 = {name: _p50(clients[name].get, address) for name, address in addresses.items()}
        return State(self.day, _value("SELECT count(*) FROM workflow_executions"), _sizes(), p50)


def _p50(get: Callable[[str], object], address: str) -> float:
    """Return the lowest p50 of some rounds, in milliseconds: others use the machine too."""
    rounds = []
    for _round in range(ROUNDS):
        times = []
        for _request in range(REQUESTS):
            began = time.monotonic()
            response = get(address)
            times.append(1_000 * (time.monotonic() - began))
            if getattr(response, "status_code", 0) != 200:
                raise SystemExit(f"{address}: {response}")
        rounds.append(statistics.median(times))
    return min(rounds)


def _sizes() -> dict[str, int]:
    sizes = {group: _value(SIZE, tables) for group, tables in GROUPS.items()}
    whole = _value("SELECT pg_database_size(current_database())")
    return sizes | {"all others": whole - sum(sizes.values()), "database": whole}


def _value(query: str, *parameters: list[str]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, [*parameters])
        return int(cursor.fetchone()[0])


def upkeep(day: int) -> None:
    for outcome in runner.run_all():
        if outcome.error:
            raise SystemExit(f"day {day}: {outcome.task.name}: {outcome.error}")


def live(options: argparse.Namespace) -> list[State]:
    """Return the states at the begin of the year, at its quarters and at its end."""
    clock, shop, found, began = Clock(), Shop(options.runs), [], time.monotonic()
    quarters = [options.before + options.days * quarter // 4 // options.every * options.every for quarter in range(5)]
    while shop.day < quarters[-1]:
        shop.work(clock, 7 if shop.day < options.before else options.every)
        upkeep(shop.day)
        if shop.day % 7 == 0 or shop.day in quarters:
            _vacuum()
        if shop.day in quarters:
            found.append(shop.measure())
            for line in table(found[-1:]):
                out(line)
        if shop.day % 7 == 0 or shop.day in quarters:
            out(f"day {shop.day}: {_sizes()['database'] / 1e6:.1f} MB, after {time.monotonic() - began:.0f} s")
    return found


def _vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def faults(states: list[State]) -> Iterator[str]:
    first, last = states[0], states[-1]
    for name, value in first.p50.items():
        if (times := last.p50[name] / value) > MOST_TIMES:
            yield f"{name}: {times:.1f} times its first p50"
    sizes = [state.sizes["database"] for state in states]
    if (growth := max(sizes) / sizes[0] - 1) > MOST_GROWTH:
        yield f"the database grew by {growth:.0%}"


def table(states: list[State]) -> Iterator[str]:
    yield "| | " + " | ".join(f"day {state.day}" for state in states) + " |"
    yield "|---|" + "--:|" * len(states)
    yield "| runs | " + " | ".join(f"{state.runs:,}" for state in states) + " |"
    for name in states[0].sizes:
        yield f"| {name}, MB | " + " | ".join(f"{state.sizes[name] / 1e6:.1f}" for state in states) + " |"
    for name in states[0].p50:
        yield f"| {name}, ms | " + " | ".join(f"{state.p50[name]:.1f}" for state in states) + " |"


def days_before() -> int:
    """Return the day on which the first record of a deleted run is over, as whole weeks."""
    rules = executions_settings.RUN_DAYS, executions_settings.DELETION_RECORD_DAYS
    return -(-max(sum(days or 0 for days in rules), executions_settings.FAILED_RUN_DAYS or 0) // 7) * 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="a day")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--every", type=int, default=1, help="days between two upkeeps in the year")
    parser.add_argument("--before", type=int, default=days_before(), help="days until the year begins, whole weeks")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    with no_limit():
        states = live(options)
    for line in table(states):
        out(line)
    out(f"{UpkeepRun.objects.count()} records of upkeep")
    if found := list(faults(states)):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
