"""The work of the API without the API, to compare its cost.

`plain` is a bare Django view with the ORM: no REST framework, permissions, validation or masking. It runs the same
queries and calls the verbs of the models. `replay` has no ORM either: it executes the recorded statements of one API
call, with the call's own run, and new ids where the call created some. Of log lines it executes those of `plain`: the
API writes them by COPY, which is not recorded.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from executions.models import ExecutionLog, WorkflowExecution
from ledgerkit.db.models import uuid7
from tokens.models import Token
from workflows.models import Workflow

RUN, NEW = object(), object()


@dataclass
class Statement:
    sql: str
    params: Any


SEEN: dict[str, list[Statement]] = {}


@contextmanager
def record(kind: str, run: UUID | None = None) -> Iterator[list[Statement]]:
    """Record the statements that are executed in the block, for `replay` to execute for `kind`."""
    seen: list[Statement] = []
    began = time.time_ns() // 1_000_000

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("SAVEPOINT", "RELEASE")):
            seen.append(Statement(sql, _named(params, run, began)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield seen
    SEEN.setdefault(kind, seen)[:] = seen


@csrf_exempt
def replay(request: HttpRequest, kind: str, run: UUID | None = None) -> JsonResponse:
    told = json.loads(request.body) if request.body else None
    rows: list[Any] = []
    with transaction.atomic() if told is not None else nullcontext(), connection.cursor() as cursor:
        for statement in SEEN["plain lines" if kind == "lines" else kind]:
            cursor.execute(statement.sql, _filled(statement.params, run))
            if cursor.description:
                rows = cursor.fetchall()
    return JsonResponse({"results": rows}, status=200 if told is None else 201)


@csrf_exempt
def plain(request: HttpRequest, kind: str, run: UUID | None = None) -> JsonResponse:
    token = Token.objects.of(request.headers["Authorization"].removeprefix("Token "))
    if token is None:
        return JsonResponse({}, status=401)
    told = json.loads(request.body) if request.body else {}
    return JsonResponse(PLAIN[kind](token.user, told, run), safe=False, status=200 if kind == "list" else 201)


def _create(user: Any, told: Any, _run: Any) -> dict[str, Any]:
    workflow = Workflow.objects.visible_to(user).alive().get(pk=told.pop("workflow"))
    new = WorkflowExecution(workflow=workflow, **told)
    with transaction.atomic():
        new.save_base(force_insert=True)
    return _row(new)


def _start(user: Any, _told: Any, run: Any) -> dict[str, Any]:
    row = WorkflowExecution.objects.visible_to(user).get(pk=run)
    row.start()
    return _row(row)


def _complete(user: Any, told: Any, run: Any) -> dict[str, Any]:
    row = WorkflowExecution.objects.visible_to(user).get(pk=run)
    row.complete(**told)
    return _row(row)


def _lines(user: Any, told: Any, run: Any) -> list[dict[str, Any]]:
    row = WorkflowExecution.objects.visible_to(user).select_related("workflow").without_payload().get(pk=run)
    named = {line["node_execution"] for line in told}
    there = set(row.node_executions.filter(pk__in=named).values_list("id", flat=True))
    WorkflowExecution.objects.values("encrypted_secrets").get(pk=run)  # read as in the API, but not used
    new = [
        ExecutionLog(workflow_execution=row, node_execution_id=UUID(line.pop("node_execution")), **line)
        for line in told
    ]
    with transaction.atomic():
        models.QuerySet.bulk_create(ExecutionLog.objects.all(), new)
    return [_row(line) for line in new if line.node_execution_id in there]


def _list(user: Any, _told: Any, _run: Any) -> list[dict[str, Any]]:
    own = list(Workflow.objects.filter(owner=user).values_list("id", flat=True))
    runs = WorkflowExecution.objects.filter(workflow__in=own).without_payload().order_by("-created_at", "-id")
    return [_row(run) for run in runs[:51]][:50]


PLAIN = {"create": _create, "start": _start, "complete": _complete, "lines": _lines, "list": _list}


def _row(row: models.Model) -> dict[str, Any]:
    return {
        name: value for name, value in vars(row).items() if name != "_state" and not isinstance(value, models.Model)
    }


def _named(value: Any, run: UUID | None, began: int) -> Any:
    if isinstance(value, list | tuple):
        return [_named(item, run, began) for item in value]
    if isinstance(value, UUID):
        if value == run:
            return RUN
        if value.version == 7 and value.int >> 80 >= began:
            return NEW
    return value


def _filled(value: Any, run: UUID | None) -> Any:
    if isinstance(value, list):
        return [_filled(item, run) for item in value]
    if value is RUN:
        return run
    return uuid7() if value is NEW else value


urlpatterns = [
    path("replay/<str:kind>/", replay),
    path("replay/<str:kind>/<uuid:run>/", replay),
    path("plain/<str:kind>/", plain),
    path("plain/<str:kind>/<uuid:run>/", plain),
    path("", include("pastetrader.urls")),
]
