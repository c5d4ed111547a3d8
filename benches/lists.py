"""How long each list and filter of the API takes over the ledger that is there, and which index answers it.

`python -m benches.lists [--calls 30]` speaks to the API in process, as staff who see all and as owners. It
reads the configured database; the user, the token and the ownership that it needs are rolled back.
"""

import argparse
import json
import logging
import os
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second time, it would take the handlers of the logs away
    django.setup()

from django.contrib.auth import get_user_model  # what follows needs Django
from django.db import connection, transaction
from django.db.models import Count
from django.test import Client

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from tokens.models import Scope, Token
from workflows.models import Workflow

OF_PARTITION = re.compile(r"execution_logs_\d+_\d+_(\w+)_idx\d*")  # PostgreSQL names these by itself
WHO = {"staff who see all": 0, "the owner of all workflows": 1, "the owner of every tenth workflow": 10}
CHEAP = 100  # of PostgreSQL's units of cost: a hundred pages


def addresses() -> Iterator[str]:
    """Each list and filter, with values that the ledger holds: common ones and rare ones."""
    runs = WorkflowExecution.objects.exclude(status="pending")
    busy = Workflow.objects.annotate(runs=Count("executions")).order_by("-runs")
    ranked = list(busy.exclude(runs=0))
    most, least = ranked[0], ranked[-1]
    some = runs.filter(metadata__has_key="schedule_id").order_by("id")[runs.count() // 2]
    child = runs.filter(context__has_key="parent_execution_id").order_by("id").first()
    parent = (child or some).context.get("parent_execution_id", some.pk)
    long = runs.annotate(lines=Count("logs")).order_by("-lines")[0]
    node = NodeExecution.objects.filter(workflow_execution=long).order_by("id").first()
    day, week = (some.created_at.date().isoformat(), some.created_at.isoformat())
    tag = next(iter(some.metadata["tags"]), "desk-1")
    filters = [
        "", "status=completed", "status=failed", "status=running", "status=failed,cancelled", f"workflow={most.pk}",
        f"workflow={least.pk}", f"workflow={most.pk}&status=failed", "trigger_type=manual", "trigger_type=schedule",
        "tag=desk-1", f"tag={tag}", f"correlation_id={some.metadata['correlation_id']}", "triggered_by=ada",
        f"schedule_id={some.metadata['schedule_id']}", "priority=high", "priority=normal", f"parent={parent}",
        f"created_after={day}T00:00:00Z", f"created_before={day}T00:00:00Z", f"started_after={day}T00:00:00Z",
        f"ended_before={day}T00:00:00Z", "duration_min=60", "duration_max=1", "has_error=true", "has_error=false",
        "q=quote+service", "q=nowhere+to+be+found", "ordering=created", "ordering=started", "ordering=-started",
        "ordering=duration", "ordering=-duration", "page_size=500",
    ]  # fmt: skip
    yield from (f"executions/?{each}" for each in filters)
    period = f"created_after={day}T00:00:00Z"
    for each in ("", "status=failed", "status=running", f"node={node and node.node_id}", f"workflow={most.pk}", period):
        yield f"node-executions/?{each}"
    yield f"executions/{long.pk}/nodes/"
    if node:
        yield f"node-executions/{node.pk}/attempts/"
    lines = ("", "level=error", "level_min=warning", f"node={node and node.pk}", "q=refused",
             f"after={week}".replace("+", "%2B"), "ordering=-timestamp")  # fmt: skip
    for each in lines:
        yield f"executions/{long.pk}/logs/?{each}"
    period = f"after={day}T00:00:00Z&before={day}T23:59:59Z"
    for each in ("", "&level=error", "&level_min=warning", "&q=refused"):
        yield f"logs/?{period}{each}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=30)
    calls = parser.parse_args().calls
    warnings.filterwarnings("ignore", "No directory at")  # of static files, which nobody asks for here
    logging.getLogger("django.request").setLevel(logging.ERROR)  # what is not offered is told below
    if not WorkflowExecution.objects.exists() or not ExecutionLog.objects.exists():
        raise SystemExit("This ledger is empty: fill it with make seed.")
    with transaction.atomic():
        asked = list(addresses())
        for name, part in WHO.items():
            user = get_user_model().objects.create(username=f"bench {name}", is_staff=not part, is_superuser=not part)
            if part:
                own(user, part)
            _row, secret = Token.objects.issue(user=user, name="bench", scopes=list(Scope.values))
            out(f"\n{f'as {name}':<64}{'p50 ms':>7}{'most':>7}{'queries':>9}  index")
            client = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Token {secret}"})
            for address in asked:
                measure(client, address, calls)
        transaction.set_rollback(True)


def own(user: Any, part: int) -> None:
    """Every so manieth workflow; the planner is told, as autovacuum would tell it."""
    mine = list(Workflow.objects.order_by("id").values_list("pk", flat=True))[::part]
    Workflow.objects.update(owner=None)
    Workflow.objects.filter(pk__in=mine).update(owner=user)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows")


def measure(client: Client, address: str, calls: int) -> None:
    shown = address if len(address) < 63 else f"{address[:30]}…{address[-31:]}"
    took: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        answer = client.get(f"/api/v1/{address}")
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            out(f"{shown:<64}    not offered: {answer.status_code} {_why(answer)}")
            return
    seen: list[tuple[str, Any]] = []
    with connection.execute_wrapper(_recorder(seen)):
        client.get(f"/api/v1/{address}")
    last = seen[-1]
    out(f"{shown:<64}{statistics.median(took):>7.1f}{max(took):>7.1f}{len(seen):>9}  {', '.join(indexes(*last))}")


def _recorder(seen: list[tuple[str, Any]]) -> Callable[..., Any]:
    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            seen.append((sql, params))
        return execute(sql, params, many, context)

    return wrapper


def indexes(sql: str, params: Any) -> list[str]:
    """What answers a statement, by EXPLAIN; a scan of a large table is said aloud."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (found,) = cursor.fetchone()
    plan = found if isinstance(found, list) else json.loads(found)
    return list(dict.fromkeys(filter(None, map(_scan, _nodes(plan[0]["Plan"])))))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def _scan(node: dict[str, Any]) -> str | None:
    table = node.get("Relation Name", "")
    if node["Node Type"].endswith("Seq Scan"):
        return f"SCAN OF {table}" if node["Total Cost"] > CHEAP else None  # an empty partition is read as it is
    if node["Node Type"] == "Sort":
        return f"sort of {node['Plan Rows']:,}" if node["Plan Rows"] > 1_000 else None
    name: str = node.get("Index Name", "")
    return OF_PARTITION.sub(r"\1 of each partition", name) or None


def _why(answer: Any) -> str:
    return str(answer.json().get("errors") or answer.json().get("detail"))[:70]


def out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
