"""Secrets planted at every entrance are found at no exit: not in a table, a dump, an answer, a page or the log."""

import io
import json
import logging
import shutil
import subprocess
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets import MASK
from executions.tests.factories import in_state
from pastetrader.logs import Line

PLACES = ("context", "deep", "number", "environment", "input", "metadata", "node", "output", "data", "header")
CANARIES = {place: f"canary-{place}-\"ü'\\4711" for place in PLACES} | {"number": "471147114711"}
# What is known from the creation of the run on; of a place that comes later, its own is known from there on.
EVERY = " ".join(CANARIES[place] for place in ("context", "deep", "number", "environment", "input", "metadata"))
EXACT = [*CANARIES.values(), *(json.dumps(value)[1:-1] for value in CANARIES.values()), "canary-", "471147114711"]

CONTEXT = {
    "secrets": {
        "broker": CANARIES["context"],
        "list": [{"deep": CANARIES["deep"]}],
        "number": int(CANARIES["number"]),
    },
    "environment": {"BROKER_API_KEY": CANARIES["environment"]},
    "variables": {"url": f"https://x/?k={CANARIES['context']}"},
}
INPUT = {"login": {"Password": CANARIES["input"]}, "again": EVERY}
METADATA = {"client_secret": CANARIES["metadata"], "tags": [f"x{CANARIES['context']}y"], "correlation_id": EVERY}
NODE_INPUT = {"token": CANARIES["node"], EVERY: [f"{EVERY} {CANARIES['node']}"]}
OUTPUT = {
    "credentials": {"x": [CANARIES["output"]]},
    "text": f"{EVERY} {CANARIES['output']}",
    "n": int(CANARIES["number"]),
}
DATA = {
    "headers": {"Authorization": CANARIES["header"]},
    "private-key": CANARIES["data"],
    "text": repr(f"{EVERY} {CANARIES['data']} {CANARIES['header']}".encode()),
}
TRACE = f"Traceback ...\n  {json.dumps(EVERY)}\n{EVERY!r}"


def in_process(workflow: Any) -> WorkflowExecution:
    run = WorkflowExecution.objects.create(
        workflow=workflow, trigger_type="manual", context=CONTEXT, input_data=INPUT, metadata=METADATA
    )
    run.start()
    first, second, third = workflow.nodes.order_by("name")
    node = run.add_node(first, input_data=NODE_INPUT)
    others = NodeExecution.objects.bulk_create(
        NodeExecution(workflow_execution=run, node=node, execution_order=1, input_data=NODE_INPUT)
        for node in (second, third)
    )
    in_state(node, "running").fail(EVERY, TRACE)
    node.retry()
    in_state(node, "running").complete(OUTPUT)
    others[0].input_data = NODE_INPUT | {"more": EVERY}
    others[0].save()
    NodeExecution.objects.filter(pk=others[1].pk).update(output_data=OUTPUT)
    in_state(others[0], "running").fail(EVERY)
    ExecutionLog(workflow_execution=run, level="info", message=EVERY, data=DATA).save()
    ExecutionLog.objects.bulk_create(
        ExecutionLog(workflow_execution=run, node_execution=node, level="info", message=text, data=DATA)
        for text in (EVERY, TRACE)
    )
    WorkflowExecution.objects.filter(pk=run.pk).update(metadata=METADATA)
    run.refresh_from_db()
    run.output_data = OUTPUT
    run.save()
    run.fail(EVERY)
    run.retry()
    in_state(run, "running").cancel()
    return run


def over_the_api(client: Any, workflow: Any) -> tuple[WorkflowExecution, list[str]]:
    answers: list[str] = []

    def post(url: str, body: Any = None, status: int = 200) -> Any:
        answer = client.post(f"/api/v1/{url}", {} if body is None else body, format="json")
        assert answer.status_code == status, answer.content
        answers.append(answer.content.decode() + str(answer.headers))
        return answer.json()

    body = {"workflow": str(workflow.pk), "trigger_type": "manual"}
    body |= {"context": CONTEXT, "input_data": INPUT, "metadata": METADATA}
    run = f"executions/{post('executions/', body, 201)['id']}"
    post(f"{run}/start/")
    line = {"level": "info", "message": EVERY, "data": DATA}
    post(f"{run}/logs/", line, 201)
    post(f"{run}/logs/", [line, line | {"message": TRACE}], 201)
    node = f"node-executions/{post(f'{run}/nodes/', {'node': 'fetch', 'input_data': NODE_INPUT}, 201)['id']}"
    post(f"{node}/start/")
    post(f"{node}/fail/", {"error_message": EVERY, "error_traceback": TRACE})
    post(f"{node}/retry/")
    post(f"{node}/start/")
    post(f"{node}/complete/", {"output_data": OUTPUT})
    post(f"{run}/complete/", {"output_data": OUTPUT})
    post(f"{run}/logs/", line, 201)
    post(f"{run}/fail/", {"error_message": EVERY}, 409)
    post("executions/", body | {"metadata": {"tags": EVERY}}, 400)
    row = WorkflowExecution.objects.get(pk=run.split("/")[1])
    urls = (run, f"{run}/nodes", f"{run}/logs", node, "executions")
    answers.extend(client.get(f"/api/v1/{url}/").content.decode() for url in urls)
    return row, answers


def pages(user: Any, run: WorkflowExecution) -> list[str]:
    client = Client()
    client.force_login(user)
    rows = [run, *run.node_executions.all(), *run.logs.all()]
    urls = [reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk]) for row in rows]
    urls += [reverse(f"admin:executions_{row._meta.model_name}_changelist") for row in rows]
    return [client.get(url).content.decode() for url in urls]


def stored() -> list[str]:
    """Every column of every table as text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        tables = [table for (table,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f"SELECT t::text FROM {table} AS t")
            found += [text for (text,) in cursor.fetchall()]
            cursor.execute(f"SELECT to_json(t)::text FROM {table} AS t")
            found += [text for (text,) in cursor.fetchall()]
    return found


def dumped() -> str:
    settings = connection.settings_dict
    options = {"--host": settings["HOST"], "--port": settings["PORT"], "--username": settings["USER"]}
    named = [f"{name}={value}" for name, value in options.items() if value]
    done = subprocess.run(
        ["pg_dump", "--inserts", *named, settings["NAME"]], check=False, capture_output=True, text=True
    )
    if "server version mismatch" in done.stderr:
        return ""
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def server_log() -> Any:
    """Everything that anybody logs, the database's statements included."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(Line())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    statements = logging.getLogger("django.db.backends")
    statements.setLevel(logging.DEBUG)
    connection.force_debug_cursor = True
    yield stream
    connection.force_debug_cursor = False
    statements.setLevel(logging.NOTSET)
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_no_canary_is_found_anywhere(workflow: Any, staff: Any, owner: Any, api: Any, server_log: Any) -> None:
    runs = [in_process(workflow)]
    of_api, answers = over_the_api(api(owner), workflow)
    runs.append(of_api)
    bad = api()
    bad.credentials(HTTP_AUTHORIZATION=f"Token {CANARIES['header'].encode().decode('latin-1')}")
    answers.append(bad.get(f"/api/v1/executions/{of_api.pk}/").content.decode())
    exits = {
        "answers": answers,
        "pages": [page for run in runs for page in pages(staff, run)],
        "tables": stored(),
        "dump": [dumped()] if shutil.which("pg_dump") else [],
        "log": server_log.getvalue().splitlines(),
    }
    for run in runs:
        answers += [api(owner).get(f"/api/v1/executions/{run.pk}/").content.decode()]
    assert sum(text.count(MASK) for text in exits["tables"]) > 100
    assert any("INSERT INTO" in line for line in exits["log"])
    for name, texts in exits.items():
        for text in texts:
            found = [text[max(0, text.index(canary) - 99) :][:300] for canary in EXACT if canary in text]
            assert not found, (name, found)


@pytest.mark.django_db
def test_a_refusal_does_not_repeat_the_secret(workflow: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        WorkflowExecution.objects.create(
            workflow=workflow, trigger_type="manual", context={"secrets": CANARIES["context"]}
        )
    assert "canary" not in str(refusal.value)
