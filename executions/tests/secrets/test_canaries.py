"""Secrets planted at every entrance are found at no exit: not in a table, a dump, an answer, a page or the log."""

import io
import json
import logging
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests import outputs
from executions.tests.factories import in_state
from pastetrader.log_format import RedactingFormatter
from workflows.models import Workflow

PLACES = ("context", "deep", "number", "environment", "input", "metadata", "node", "output", "data", "header", "config")
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


def define(client: Any, staff: Any) -> list[str]:
    """Change a definition by the API and by the admin's form, which writes its history."""
    document = {"broker": {"api_key": CANARIES["config"]}, "list": [{"Password": CANARIES["config"]}]}
    documents = dict.fromkeys(("config", "input_schema", "output_schema"), document)
    nodes = [{"name": name, "node_type": "tool", **documents} for name in ("a", "b")]
    edges = [{"source_node": "a", "target_node": "b", "condition": document}]
    body = {"name": "defined", "config": document, "variables": document, "nodes": nodes, "edges": edges}
    answer = client.post("/api/v1/workflows/", body, format="json", headers={"Idempotency-Key": "define"})
    assert answer.status_code == 201, answer.content
    run = {"workflow": answer.json()["id"], "trigger_type": "manual"}  # it remembers the graph
    assert client.post("/api/v1/executions/", run, format="json").status_code == 201
    forms = {f"{kind}-{name}_FORMS": 0 for kind in ("nodes", "edges") for name in ("TOTAL", "INITIAL")}
    form = {"name": "by form", "config": json.dumps(document), "variables": json.dumps(document), "owner": staff.pk}
    admin = Client()
    admin.force_login(staff)
    page = admin.post("/admin/workflows/workflow/add/", form | forms, follow=True)
    assert Workflow.objects.filter(name="by form").exists(), page.content.decode()
    return [answer.content.decode(), page.content.decode()]


def with_headers(client: Any, run: WorkflowExecution) -> list[str]:
    """Send secrets in headers of requests that succeed, that are refused, and that fail."""
    canary, url = CANARIES["header"].encode().decode("latin-1"), f"/api/v1/executions/{run.pk}/"
    plain = "canary-header-in-ascii"
    # Not the session's own cookie: Django asks its table of sessions for that, and statements are heard here.
    headers = {"X-Api-Key": canary, "Cookie": f"csrftoken={plain}; token={plain}", "Idempotency-Key": plain}
    line = {"level": "info", "message": "with headers", "data": DATA}
    wrong = {"level": CANARIES["header"], "node_execution": CANARIES["header"], "id": CANARIES["header"]}
    answers = [
        client.post(f"{url}logs/", line, format="json", headers=headers),
        client.post(f"{url}logs/", wrong, format="json", headers={"Idempotency-Key": "x"}),
        Client().get(url, headers=headers | {"Authorization": f"Token {canary}"}),
        Client().get(url, headers=headers | {"Authorization": f"Bearer {plain}"}),
        client.get(f"{url}?fields={plain}", headers=headers),
        client.get(f"{url}?{plain}=1"),
        client.generic("POST", f"{url}logs/", f'{{"{plain}": 1, "{plain}": 2}}', content_type="application/json"),
        Client().get(f"/api/v1/executions/{plain}/"),
    ]
    Client().get(f"/{plain}")  # a page that leads back to it; the server's log shows it not
    assert [answer.status_code for answer in answers] == [201, 400, 401, 401, 400, 400, 400, 401]
    answers.append(broken(client, f"{url}logs/", line | {"message": EVERY}, headers | {"Idempotency-Key": "y"}))
    return [f"{answer.headers} {answer.content.decode()}" for answer in answers]


def broken(client: Any, url: str, body: Any, headers: Any) -> Any:
    """Make a view fail with an error that repeats all of its input."""

    def break_down(*given: Any, **more: Any) -> None:
        raise RuntimeError(f"{DATA} {EVERY} {headers} {more}")

    client.raise_request_exception = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("executions.api.views.logs.LogsOfExecutionViewSet._write_lines", break_down)
        answer = client.post(url, body, format="json", headers=headers)
    assert answer.status_code == 500
    return answer


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
    return WorkflowExecution.objects.get(pk=run.split("/")[1]), answers


@pytest.fixture
def server_log() -> Any:
    """Yield everything that is logged, the statements of the database included."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(RedactingFormatter())
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


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_canary_is_found_anywhere(workflow: Any, staff: Any, owner: Any, api: Any, server_log: Any) -> None:
    in_process(workflow)
    of_api, said = over_the_api(api(owner), workflow)
    said += with_headers(api(owner), of_api)
    said += define(api(owner), staff)
    found = {
        "answers": [*said, *outputs.answers(api(staff))],
        "pages": list(outputs.pages(staff)),
        "tables": outputs.tables(),
        "dump": outputs.dump().splitlines(),
        "copy": outputs.copy_tables().splitlines(),
        "log": [*server_log.getvalue().splitlines(), *outputs.database_log()],
    }
    assert sum(text.count(MASK) for text in found["tables"]) > 100
    assert sum(MASK in line for line in found["dump"]) > 20
    assert sum(MASK in line for line in found["copy"]) > 20
    assert sum(MASK in page for page in found["pages"]) > 20
    assert any("INSERT INTO" in line for line in found["log"])
    assert any("RuntimeError" in line and MASK in line for line in found["log"])
    for name, texts in found.items():
        for text in texts:
            hits = [text[max(0, text.index(canary) - 199) :][:400] for canary in EXACT if canary in text]
            assert not hits, (name, text[:100], hits)


@pytest.mark.django_db
def test_a_refusal_does_not_repeat_the_secret(workflow: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        WorkflowExecution.objects.create(
            workflow=workflow, trigger_type="manual", context={"secrets": CANARIES["context"]}
        )
    assert "canary" not in str(refusal.value)
