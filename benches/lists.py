"""Time each list and filter of the API on the configured ledger, and show the index that answers it.

`python -m benches.lists [--calls 30]` calls the API in process, as staff who see all rows and as owners. It reads the
configured database; the user, the token and the ownership that it needs are rolled back.
"""

import argparse
import json
import logging
import os
import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second call would remove the handlers of the logs
    django.setup()

from django.contrib.auth import get_user_model  # must come after django.setup()
from django.db import connection, transaction
from django.db.models import Count, Max, Min
from django.test import Client

from benches.output import out
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from pastetrader import startup
from tokens.models import Scope, Token
from workflows.models import Workflow

OF_PARTITION = re.compile(r"execution_logs_\d+_\d+_(\w+)_idx\d*")  # names that PostgreSQL generates
WHO = {"staff who see all": 0, "the owner of all workflows": 1, "the owner of every tenth workflow": 10}
CHEAP = 100  # in PostgreSQL's units of cost: a hundred pages


def addresses() -> Iterator[str]:
    """Yield each list and filter, and pairs of filters that are used together, with common and rare values, and times
    at the beginning, the middle and the end of the ledger."""
    runs = WorkflowExecution.objects.exclude(status="pending")
    busy = Workflow.objects.annotate(runs=Count("executions")).order_by("-runs")
    ranked = list(busy.exclude(runs=0))
    most, least = ranked[0], ranked[-1]
    several = ",".join(str(workflow.pk) for workflow in (most, least, *ranked[1:9]))
    some = runs.filter(metadata__has_key="schedule_id").order_by("id")[runs.count() // 2]
    child = runs.filter(context__has_key="parent_execution_id").order_by("id").first()
    parent = (child or some).context.get("parent_execution_id", some.pk)
    lines = ExecutionLog.objects.order_by().values("workflow_execution").annotate(number=Count("pk"))
    long = runs.get(pk=lines.order_by("-number")[0]["workflow_execution"])
    node = NodeExecution.objects.filter(workflow_execution=long).order_by("id").first()
    node_of_most = most.nodes.order_by("id").first()
    days = [some.created_at, *runs.aggregate(Min("created_at"), Max("created_at")).values()]
    middle, first, last = (day.replace(hour=0, minute=0, second=0, microsecond=0) for day in days)
    tag = next(iter(some.metadata["tags"]), "desk-1")
    yield from (f"executions/?{each}" for each in (
        "", "status=completed", "status=failed", "status=running", "status=pending", "status=failed,cancelled",
        f"workflow={most.pk}", f"workflow={least.pk}", "trigger_type=manual", "trigger_type=schedule", "tag=desk-1",
        f"tag={tag}", f"correlation_id={some.metadata['correlation_id']}", "triggered_by=ada",
        f"schedule_id={some.metadata['schedule_id']}", "priority=high", "priority=normal", f"parent={parent}",
        "duration_min=60", "duration_min=9999", "duration_max=1", "duration_max=0", "duration_min=5&duration_max=6",
        "has_error=true", "has_error=false", "q=quote+service", "q=nowhere+to+be+found", "ordering=created",
        "error=quote+service", "error=nowhere+to+be+found", "error=quote+service&status=failed",
        "ordering=started", "ordering=-started", "ordering=duration", "ordering=-duration", "page_size=500",
    ))  # fmt: skip
    for name in ("created", "started", "ended"):
        for day in (first, middle, last):
            soon = day + timedelta(days=1)
            yield from (f"executions/?{each}" for each in (
                f"{name}_after={_at(day)}", f"{name}_before={_at(soon)}",
                f"{name}_after={_at(day)}&{name}_before={_at(soon)}",
                f"workflow={most.pk}&{name}_after={_at(day)}&{name}_before={_at(soon)}",
                f"workflow={least.pk}&{name}_after={_at(day)}&{name}_before={_at(soon)}",
            ))  # fmt: skip
    period = f"created_after={_at(first)}&created_before={_at(first + timedelta(days=3))}"
    yield from (f"executions/?{each}" for each in (
        f"workflow={most.pk}&status=failed", f"workflow={least.pk}&status=failed", f"workflow={most.pk}&status=skipped",
        f"workflow={most.pk}&tag=desk-1", f"workflow={least.pk}&tag=desk-1", f"workflow={most.pk}&q=quote+service",
        f"workflow={least.pk}&q=quote+service", "tag=desk-1&status=failed", "tag=desk-1&status=skipped",
        f"status=failed&{period}", f"tag=desk-1&{period}", f"q=quote+service&{period}", f"has_error=true&{period}",
        f"error=quote+service&{period}", f"error=nowhere+to+be+found&{period}",
        f"workflow={least.pk}&error=quote+service",
        "has_error=false&status=failed", f"has_error=false&{period}", f"trigger_type=event&status=failed&{period}",
        f"workflow={least.pk}&ordering=started", f"workflow={most.pk}&ordering=-duration",
        "status=failed&ordering=duration",
        f"workflow={most.pk}&has_error=true", f"workflow={least.pk}&has_error=true", "has_error=true&page_size=500",
        f"workflow={several}", f"workflow={several}&status=failed", f"workflow={several}&ordering=-duration",
        f"workflow={several}&ordering=started", f"workflow={several}&started_before={_at(middle)}",
        "status=completed&page_size=500",
    ))  # fmt: skip
    period = f"created_after={_at(middle)}&created_before={_at(middle + timedelta(days=1))}"
    of_node = f"node={node_of_most and node_of_most.pk}"
    for each in (
        "", "status=completed", "status=failed", "status=running", "status=skipped", f"node={node and node.node_id}",
        of_node,
        f"workflow={most.pk}", f"workflow={least.pk}", f"created_after={_at(middle)}", f"created_before={_at(middle)}",
        f"created_before={_at(first + timedelta(days=1))}", period,
        f"{of_node}&status=failed", f"{of_node}&status=pending",
        f"workflow={most.pk}&status=failed", f"workflow={least.pk}&status=failed", f"workflow={most.pk}&status=running",
        "q=quote+service", "q=nowhere+to+be+found", f"q=quote+service&{period}",
        f"{of_node}&{period}", f"status=failed&{period}", f"workflow={least.pk}&{period}", "ordering=created",
        f"workflow={several}",
        "page_size=500",
    ):  # fmt: skip
        yield f"node-executions/?{each}"
    yield f"executions/{long.pk}/nodes/"
    yield f"executions/{long.pk}/?expand=nodes,logs"
    if node:
        yield f"node-executions/{node.pk}/attempts/"
    for each in (
        "", "level=error", "level_min=warning", f"node={node and node.pk}", "q=refused", "q=nowhere+to+be+found",
        "q=xyz", f"after={_at(some.created_at)}", "ordering=-timestamp", "level=error&q=refused", "page_size=500",
    ):  # fmt: skip
        yield f"executions/{long.pk}/logs/?{each}"
    for start, end in ((middle, 1), (first, 1), (last - timedelta(days=30), 31)):
        period = f"after={_at(start)}&before={_at(start + timedelta(days=end))}"
        for each in (
            "",
            "&level=error",
            "&level_min=warning",
            "&ordering=timestamp",
            "&level=error&ordering=timestamp",
            "&q=refused",
            "&q=nowhere+to+be+found",
        ):
            yield f"logs/?{period}{each}"
    yield f"logs/?{period}&page_size=500"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=30)
    calls = parser.parse_args().calls
    warnings.filterwarnings("ignore", "No directory at")  # of static files, which nobody asks for here
    logging.getLogger("django.request").setLevel(logging.ERROR)  # failed requests are reported below
    if not WorkflowExecution.objects.exists() or not ExecutionLog.objects.exists():
        raise SystemExit("This ledger is empty: fill it with make seed.")
    with transaction.atomic():
        paths = list(addresses())
        startup.freeze_loaded_objects()
        for name, part in WHO.items():
            user = get_user_model().objects.create(username=f"bench {name}", is_staff=not part, is_superuser=not part)
            if part:
                own(user, part)
            _row, secret = Token.objects.issue(user=user, name="bench", scopes=list(Scope.values))
            out(f"\n{f'as {name}':<64}{'p50 ms':>7}{'most':>7}{'queries':>9}  index")
            client = Client(SERVER_NAME="127.0.0.1", headers={"Authorization": f"Token {secret}"})
            for address in paths:
                measure(client, address, calls)
        transaction.set_rollback(True)


def own(user: Any, part: int) -> None:
    """Make the user the owner of every `part`th workflow, and analyze the table as autovacuum would."""
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
        if sql.startswith("SELECT") and "set_config" not in sql:
            seen.append((sql, params))
        return execute(sql, params, many, context)

    return wrapper


def indexes(sql: str, params: Any) -> list[str]:
    """Return the indexes that EXPLAIN names for a statement, and its scans of large tables and its large sorts."""
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


if __name__ == "__main__":
    main()
