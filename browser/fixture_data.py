"""`python -m browser.fixture_data` fills a migrated database: a superuser, rows of `seed_ledger`, which gets its
options, the demo, and a nightly workflow that succeeded for eleven nights and failed last night, as an engine would
have reported it. Its rows are copied with their history, because a transition has the time of its statement.

The last line of the output is JSON: the superuser's password, a token, and the ids by which tests and screenshots find
last night's run.
"""

import io
import json
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:
    django.setup()

from django.contrib.auth import get_user_model  # what follows needs Django
from django.core.management import call_command
from django.db import connection, transaction

from executions import ingest, partitions
from executions.models import (
    BulkAction,
    ErrorOccurrence,
    ErrorScan,
    ExecutionLog,
    HistoryEntry,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
)
from executions.upkeep import error_groups
from pastetrader.tests.live_server import ALL_SCOPES
from tokens.models import Token
from workflows.models import Workflow
from workflows.submitted_graph import SubmittedGraph

NIGHTS, WEEK = 12, 7
SLOWER, TIMES = "Report", 4  # a node that takes so many times as long in the last week
STEPS = (  # name, type, minutes after the start, seconds that it takes, what comes before it
    ("Calendar", "adapter", 0, 4, ()),
    ("Prices NYSE", "adapter", 0.1, 95, ("Calendar",)),
    ("Prices KRX", "adapter", 0.1, 70, ("Calendar",)),
    ("Prices LSE", "adapter", 0.1, 82, ("Calendar",)),
    ("Adjust for splits", "tool", 1.8, 21, ("Prices NYSE", "Prices KRX", "Prices LSE")),
    ("Returns", "tool", 2.2, 14, ("Adjust for splits",)),
    ("Momentum", "agent", 2.5, 44, ("Returns",)),
    ("Risk", "agent", 2.5, 61, ("Returns",)),
    ("Ranking", "aggregator", 3.6, 6, ("Momentum", "Risk")),
    ("Report", "tool", 3.8, 3, ("Ranking",)),
)
FAILING, TRIES = "Prices KRX", 3
FAULT = "TruncatedFile: the KRX's closing prices of {day} end after their header: 0 of 953 rows"
TRACEBACK = """Traceback (most recent call last):
  File "engine/worker.py", line 88, in run
    output = function(job)
  File "nightly/prices.py", line 41, in load
    rows = parse(download(job.address), expected=job.symbols)
  File "nightly/prices.py", line 67, in parse
    raise TruncatedFile(day, len(rows), len(expected))
nightly.prices.{fault}
"""
RUN = (
    "id", "workflow", "trigger_type", "status", "created_at", "updated_at", "started_at", "ended_at", "version",
    "input_data", "output_data", "error_message", "context", "metadata",
)  # fmt: skip
NODE = (
    "id", "workflow_execution", "node", "status", "created_at", "updated_at", "started_at", "ended_at", "version",
    "attempt", "retry_count", "execution_order", "settled", "input_data", "output_data", "error_message",
    "error_traceback",
)  # fmt: skip
ATTEMPT = ("id", "node_execution", "number", "status", "started_at", "ended_at", "error_message", "error_traceback")
HISTORY = (
    "id", "workflow_execution", "node_execution", "attempt", "from_status", "to_status", "act", "through", "username",
    "token_name", "reason", "happened_at",
)  # fmt: skip
COLUMNS = {
    WorkflowExecution: RUN,
    NodeExecution: NODE,
    NodeExecutionAttempt: ATTEMPT,
    ExecutionLog: ingest.LINE,
    HistoryEntry: HISTORY,
}


@dataclass
class Night:
    """One run of the nightly workflow, and its rows."""

    began: datetime
    failed: bool
    slower: bool
    random: Random
    rows: dict[Any, list[Any]] = field(default_factory=lambda: {model: [] for model in COLUMNS})
    ids: dict[str, UUID] = field(default_factory=dict)
    end: datetime | None = None

    def id(self, when: datetime) -> UUID:
        """Return a UUIDv7 of that moment."""
        return UUID(int=partitions.bound(when).int | 7 << 76 | 2 << 62 | self.random.getrandbits(60))

    @property
    def day(self) -> str:
        return f"{self.began - timedelta(days=1):%Y-%m-%d}"

    @property
    def fault(self) -> str:
        return FAULT.format(day=self.day)

    def write(self, workflow: Workflow) -> None:
        self.ids["run"] = self.id(self.began)
        steps = [*self._steps(dict(workflow.nodes.values_list("name", "pk")))]
        self.end = max(ended for _, _, ended in steps)
        self._add_line("info", f"{len(STEPS)} nodes, prices of {self.day}", self.began)
        for name, started, ended in steps:
            self._lines(name, started, ended)
        status = "failed" if self.failed else "completed"
        metadata = {"tags": ["nightly", "prices"], "correlation_id": f"nightly-{self.day}", "triggered_by": "scheduler"}
        self.rows[WorkflowExecution].append((
            self.ids["run"], workflow.pk, "schedule", status, self.began, self.end, self.began, self.end, 3,
            {"day": self.day, "markets": ["NYSE", "KRX", "LSE"]}, None if self.failed else {"ranked": 2871},
            f"1 of {len(STEPS)} nodes failed: {FAILING}" if self.failed else None,
            {"environment": {"host": "engine-2", "version": "2.4.1"}}, {**metadata, "schedule_id": "nightly-0215"},
        ))  # fmt: skip
        self._add_transitions(None, self.began, ("create", None, "pending"), ("start", "pending", "running"))
        over = self.end + timedelta(milliseconds=1)
        self._add_transitions(None, over, ("fail" if self.failed else "complete", "running", status))

    def _steps(self, nodes: dict[str, UUID]) -> Iterator[tuple[str, datetime, datetime]]:
        fallen: set[str] = set()
        over, pace = self.began, self.random.uniform(0.8, 1.3)
        for order, (name, _type, minutes, seconds, above) in enumerate(STEPS):
            started = self.began + timedelta(minutes=minutes * pace, seconds=self.random.random())
            times = TIMES if self.slower and name == SLOWER else 1
            ended = started + timedelta(seconds=times * seconds * pace * self.random.uniform(0.85, 1.1))
            self.ids[name] = self.id(self.began)
            if self.failed and fallen & set(above):
                fallen.add(name)
                self._node(nodes[name], name, order, None, over, "skipped")
                continue
            if self.failed and name == FAILING:
                fallen.add(name)
                started, over = self._tries(started)
                ended = over
                self._node(nodes[name], name, order, started, ended, "failed")
            else:
                self._node(nodes[name], name, order, started, ended, "completed")
            yield name, started, ended

    def _tries(self, started: datetime) -> tuple[datetime, datetime]:
        """Add all attempts but the last; return when the last one started and ended."""
        for number in range(1, TRIES + 1):
            ended = started + timedelta(seconds=19 + number)
            if number == TRIES:
                return started, ended
            self.rows[NodeExecutionAttempt].append(
                (self.id(ended), self.ids[FAILING], number, "failed", started, ended, self.fault, self._traceback())
            )
            self._lines(FAILING, started, ended)
            self._add_transitions(FAILING, started, ("start", "pending", "running"), attempt=number)
            self._add_transitions(FAILING, ended, ("fail", "running", "failed"), attempt=number)
            started = ended + timedelta(seconds=30)
            # Its start follows at `started`: of two entries of one moment, either could stand first.
            asked = started - timedelta(seconds=1)
            self._add_transitions(FAILING, asked, ("retry", "failed", "pending"), attempt=number + 1)
        raise AssertionError

    def _node(self, node: UUID, name: str, order: int, started: datetime | None, ended: datetime, status: str) -> None:
        failed = status == "failed"
        tries = TRIES if failed else 1
        self.rows[NodeExecution].append((
            self.ids[name], self.ids["run"], node, status, self.began, ended, started, ended, 3 * tries, tries,
            tries - 1, order, status == "skipped", {"step": name}, {"rows": 953} if status == "completed" else None,
            self.fault if failed else None, self._traceback() if failed else None,
        ))  # fmt: skip
        if started is None:
            return
        self._add_transitions(name, started, ("start", "pending", "running"), attempt=tries)
        self._add_transitions(name, ended, ("fail" if failed else "complete", "running", status), attempt=tries)

    def _traceback(self) -> str:
        return TRACEBACK.format(fault=self.fault)

    def _lines(self, name: str, started: datetime, ended: datetime) -> None:
        took = ended - started
        self._add_line("debug", f"GET https://prices.example/{self.day}.csv?of={name} 200", started, name)
        for part in range(1, 9):
            self._add_line("info", f"{name}: {part * 12} % of {self.day}", started + took * part / 10, name)
        if self.failed and name == FAILING:
            self._add_line("warning", "the file has 61 bytes, 1.2 MB yesterday", started + took * 0.9, name)
            self._add_line("error", self.fault, ended, name)

    def _add_line(self, level: str, message: str, when: datetime, name: str | None = None) -> None:
        pk = self.id(when)
        if level == "error":
            self.ids["line"] = pk
        self.rows[ExecutionLog].append(
            (pk, self.ids["run"], self.ids[name] if name else None, level, message, None, when)
        )

    def _add_transitions(
        self, name: str | None, when: datetime, *moves: tuple[str, str | None, str], attempt: int = 1
    ) -> None:
        node = self.ids[name] if name else None
        for place, (act, before, after) in enumerate(moves):
            self.rows[HistoryEntry].append(
                (
                    self.id(when),
                    self.ids["run"],
                    node,
                    attempt,
                    before,
                    after,
                    act,
                    "api",
                    "admin",
                    "engine-2",
                    "",
                    when + timedelta(milliseconds=place),  # in this order
                )
            )


def last_night(now: datetime) -> datetime:
    """Return a quarter past two within the last 24 hours; the night's run has ended by now."""
    night = now.replace(hour=2, minute=15, second=0, microsecond=0)
    return night if night < now - timedelta(minutes=10) else night - timedelta(days=1)


def define() -> Workflow:
    nodes = [{"name": name, "node_type": kind} for name, kind, *_ in STEPS]
    edges = [{"source_node_id": above, "target_node_id": name} for name, *_, before in STEPS for above in before]
    owner = get_user_model()._default_manager.filter(is_superuser=True).order_by("pk").first()
    workflow = Workflow(name="Nightly prices", description="Prices of three markets, and what follows.", owner=owner)
    workflow.save()
    SubmittedGraph(workflow, nodes, edges).save(workflow)
    return workflow


def retry_failed(now: datetime, owner: Any, runs: list[Night]) -> BulkAction:
    """Return a bulk action that has ended: two runs were retried, and one had changed by then."""
    action = BulkAction.objects.create(
        verb="retry", filters={"status": ["failed"], "ended": ["today"]}, number=3, done=2, refused=1, ended_at=now,
        through="admin", user_id=str(owner.pk), username=owner.get_username(), reason="The KRX delivers again.",
    )  # fmt: skip
    refusal = "Cannot retry execution in completed state"
    for run, answer in zip(runs, ("", "", refusal), strict=True):
        action.runs.create(
            workflow_execution_id=run.ids["run"], workflow_name="Nightly prices", done_at=now, answer=answer,
            state="refused" if answer else "done",
        )  # fmt: skip
    return action


def fill(now: datetime) -> dict[str, str]:
    nights = [last_night(now) - timedelta(days=back) for back in reversed(range(NIGHTS))]
    runs = [
        Night(night, failed=night == nights[-1], slower=night in nights[-WEEK:], random=Random(night.toordinal()))
        for night in nights
    ]
    partitions.ensure(run.id(run.began) for run in runs)
    with transaction.atomic():
        workflow = define()
        for run in runs:
            run.write(workflow)
        with connection.cursor() as cursor:
            # The trigger would record the present time.
            cursor.execute("ALTER TABLE workflow_executions DISABLE TRIGGER history_insert")
            for model, columns in COLUMNS.items():
                ingest.copy(model, columns, [row for run in runs for row in run.rows[model]])
            connection.check_constraints()  # no table is altered while a check of it is open
            cursor.execute("ALTER TABLE workflow_executions ENABLE TRIGGER history_insert")
    ids = runs[-1].ids
    token = Token.objects.order_by("created_at").first()
    before = runs[-2].ids
    return {
        "workflow": str(workflow.pk), "failed_run": str(ids["run"]), "failed_node": str(ids[FAILING]),
        "line": str(ids["line"]), "good_run": str(before["run"]), "good_node": str(before[FAILING]),
        "token": str(token.pk) if token else "",
        "bulk_action": str(retry_failed(now, workflow.owner, runs[-3:]).pk),
        "error_group": str(error_group_of(ids["run"])),
    }  # fmt: skip


def error_group_of(run: UUID) -> UUID:
    """Sort all failures into groups, and return that of a run."""
    ErrorScan.objects.update(backfill_from=datetime.now(UTC))
    error_groups.apply(lambda _done, _expected: None)
    return ErrorOccurrence.objects.get(workflow_execution=run).fingerprint.group_id


def make_keys() -> dict[str, str]:
    """Make a superuser with a password, and a token."""
    password, token = secrets.token_urlsafe(12), io.StringIO()
    get_user_model()._default_manager.create_superuser(username="admin", password=password)
    call_command("create_token", "admin", *ALL_SCOPES, "--name", "browser", stdout=token)
    return {"password": password, "token": token.getvalue().strip()}


if __name__ == "__main__":
    keys = make_keys()
    call_command("seed_ledger", *sys.argv[1:])
    call_command("demo")
    sys.stdout.write(json.dumps(keys | {"ids": fill(datetime.now(UTC))}) + "\n")
