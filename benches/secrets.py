"""Measure masking: 10,000 log lines of a run with five secrets, with masking and without, alternately.

`python -m benches.secrets [--lines 10000] [--rounds 5]` uses its own database beside the configured one. A line has a
message of about a hundred characters that contains an address, and data with five keys.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

from django.contrib.auth import get_user_model  # must come after django.setup()
from django.db import models

from benches.ledger import scratch_database
from benches.output import out
from executions import partitions
from executions.log_preparation import clean_text, cut
from executions.models import ExecutionLog, WorkflowExecution
from workflows.models import Workflow

SECRETS = {
    "database": "hunter2-and-7-more",
    "broker": {"api_key": "PKV3LT9Q8ZJ1WMB5X0AD", "api_secret": "t8Zq/2nVbKx+R4hYw7LmCfGd0SjUeA91oPiNvXyB"},
    "mail": ["smtp-user-77", "correct horse battery staple"],
}


def lines(run: WorkflowExecution, number: int) -> list[ExecutionLog]:
    return [
        ExecutionLog(
            workflow_execution=run,
            level="info",
            message=f"GET https://data.example.net/v2/bars?symbol=AAPL&page={n}&limit=500 answered 200 in {n % 97} ms",
            data={"symbol": "AAPL", "page": n, "rows": 500, "cached": n % 3 == 0, "host": "data.example.net"},
        )
        for n in range(number)
    ]


def insert_masked(rows: list[ExecutionLog]) -> None:
    ExecutionLog.objects.bulk_create(rows)


def insert_unmasked(rows: list[ExecutionLog]) -> None:
    """Insert the lines as ExecutionLogQuerySet does, without masking."""
    for row in rows:
        clean_text(row)
        cut(row.message)
    write = models.QuerySet.bulk_create
    partitions.with_partitions([row.id for row in rows], "default", lambda: write(ExecutionLog.objects.all(), rows))


def measure(write: Callable[[list[ExecutionLog]], None], rows: list[ExecutionLog]) -> tuple[float, float]:
    """Return the elapsed milliseconds, and those of this process's processor time."""
    clock, work = time.perf_counter(), time.process_time()
    write(rows)
    return (time.perf_counter() - clock) * 1000, (time.process_time() - work) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with scratch_database():
        owner = get_user_model().objects.create_user("bench")
        workflow = Workflow.objects.create(owner=owner, name="bench")
        run = WorkflowExecution.objects.create(
            workflow=workflow, trigger_type="manual", context={"secrets": SECRETS, "variables": {}}
        )
        show(run, options.lines, options.rounds)


def show(run: WorkflowExecution, number: int, rounds: int) -> None:
    took: dict[Any, list[tuple[float, float]]] = {insert_unmasked: [], insert_masked: []}
    for each in range(rounds + 1):  # the first one warms up
        for write in list(took)[:: 1 if each % 2 else -1]:
            took[write].append(measure(write, lines(run, number)))
    out(f"{number:,} lines{'unmasked':>16}{'masked':>10}{'ratio':>8}")
    for index, name in enumerate(("ms by the clock", "ms of processor")):
        without, with_ = ([each[index] for each in took[write][1:]] for write in (insert_unmasked, insert_masked))
        ratio = statistics.median(b / a for a, b in zip(without, with_, strict=True))
        out(f"{name:<15}{statistics.median(without):>13.0f}{statistics.median(with_):>10.0f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
