"""A row that is there already, under its id and with the same content, is answered and not made again."""

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models.functions import Now

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets import retention
from executions.secrets.scrubber import MASK
from executions.tests.acceptance import race
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory
from ledgerkit.db.models import uuid7
from workflows.models import Workflow


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    return WorkflowExecutionFactory(workflow=workflow)


@pytest.fixture
def requests(workflow: Workflow, run: WorkflowExecution) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return for each kind of row the address, a body and another body."""
    content = {"workflow": str(workflow.pk), "trigger_type": "manual", "input_data": {"a": [1, 2.5, None]}}
    node = {"node": "rank", "input_data": {"a": 1}}
    line = {"level": "info", "message": "once", "data": {"a": 1}, "timestamp": "2026-11-22T10:00:00Z"}
    return {
        "run": ("executions/", content, {"trigger_type": "event"}),
        "node": (f"executions/{run.pk}/nodes/", node, {"node": "fetch"}),
        "line": (f"executions/{run.pk}/logs/", line, {"message": "twice"}),
    }


MODELS: dict[str, Any] = {"run": WorkflowExecution, "node": NodeExecution, "line": ExecutionLog}


@pytest.mark.parametrize("kind", MODELS)
def test_the_same_content_is_200_with_the_row_and_other_content_409(
    api: Any, owner: Any, requests: Any, kind: str
) -> None:
    url, content, other = requests[kind]
    content, client, before = content | {"id": str(uuid7())}, api(owner), MODELS[kind].objects.count()
    first, again = (client.post(f"/api/v1/{url}", content, format="json") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    answer = client.post(f"/api/v1/{url}", content | other, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "exists_with_other_content")
    assert MODELS[kind].objects.count() == before + 1


OPTIONAL = {
    "run": {"input_data": {"x": 1}, "context": {"x": 1}, "metadata": {"tags": ["x"]}},
    "node": {"input_data": {"x": 1}},
    "line": {"data": {"x": 1}, "node_execution": "the run's"},
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in OPTIONAL.items() for field in fields])
def test_what_is_left_out_means_its_default(
    api: Any, owner: Any, run: Any, requests: Any, kind: str, field: str
) -> None:
    url, content, _ = requests[kind]
    without = {name: value for name, value in content.items() if name != field}
    value = str(NodeExecutionFactory(workflow_execution=run).pk) if field == "node_execution" else OPTIONAL[kind][field]
    default, client = None if kind == "line" else {}, api(owner)

    def statuses(*bodies: Any) -> list[int]:
        chosen = {"id": str(uuid7())}
        return [client.post(f"/api/v1/{url}", body | chosen, format="json").status_code for body in bodies]

    assert statuses(content | {field: value}, without, without | {field: default}) == [201, 409, 409]
    assert statuses(without, without, without | {field: default}, content | {field: value}) == [201, 200, 200, 409]


def test_what_no_repeat_can_know_may_be_left_out(api: Any, owner: Any, requests: Any) -> None:
    """A line's time is that of its call, a node execution's place that of its node in the graph."""
    for kind, field, value in (("line", "timestamp", "2026-11-22T10:00:00Z"), ("node", "execution_order", 7)):
        url, content, _ = requests[kind]
        whole, client = content | {"id": str(uuid7()), field: value}, api(owner)
        without = {name: value for name, value in whole.items() if name != field}
        answers = [client.post(f"/api/v1/{url}", body, format="json").status_code for body in (whole, without)]
        assert answers == [201, 200]


@pytest.mark.parametrize(("first", "then", "status"), [
    (1, True, 409), (0, False, 409), (True, 1, 409), ([True], [1], 409), (1, 1.0, 200), (1e23, 1e23, 200),
    (-0.0, 0, 200), (1, 2, 409), ("1", 1, 409), (None, 0, 409),
])  # fmt: skip
def test_values_are_the_same_where_the_database_says_so(
    api: Any, owner: Any, requests: Any, first: Any, then: Any, status: int
) -> None:
    url, content, _ = requests["run"]
    content, client = content | {"id": str(uuid7())}, api(owner)
    for value, expected in ((first, 201), (then, status)):
        answer = client.post(f"/api/v1/{url}", content | {"input_data": {"a": value}}, format="json")
        assert answer.status_code == expected


def test_a_run_that_has_moved_on_is_still_the_same(api: Any, owner: Any, requests: Any) -> None:
    url, content, _ = requests["run"]
    content, client = content | {"id": str(uuid7())}, api(owner)
    client.post(f"/api/v1/{url}", content, format="json")
    WorkflowExecution.objects.get(pk=content["id"]).start()
    assert client.post(f"/api/v1/{url}", content, format="json").json()["status"] == "running"


def test_a_node_that_has_ended_is_answered_with_its_output(api: Any, owner: Any, requests: Any, run: Any) -> None:
    url, content, _other = requests["node"]
    client, content = api(owner), content | {"id": str(uuid7())}
    client.post(f"/api/v1/{url}", content, format="json")
    run.start()
    node = NodeExecution.objects.get(pk=content["id"])
    node.start()
    node.complete({"rows": 7})
    again = client.post(f"/api/v1/{url}", content, format="json")
    assert (again.status_code, again.json()) == (200, client.get(f"/api/v1/node-executions/{node.pk}/").json())
    assert again.json()["output_data"] == {"rows": 7}


def test_a_run_that_is_to_be_started_is_running_after_a_repeat(api: Any, owner: Any, requests: Any) -> None:
    url, content, _ = requests["run"]
    content, client = content | {"id": str(uuid7())}, api(owner)
    client.post(f"/api/v1/{url}", content, format="json")
    for _ in range(2):
        answer = client.post(f"/api/v1/{url}", content | {"start": True}, format="json")
        assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (200, "running", 2)
        assert answer["ETag"] == '"2"'
    WorkflowExecution.objects.get(pk=content["id"]).complete()
    answer = client.post(f"/api/v1/{url}", content | {"start": True}, format="json")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


def test_a_repeat_that_cannot_start_the_run_is_refused_as_its_start_would_be(
    api: Any, owner: Any, run: Any, requests: Any
) -> None:
    url, content, _ = requests["run"]
    content, client = content | {"id": str(uuid7())}, api(owner)
    client.post(f"/api/v1/{url}", content, format="json")
    run.start()
    answer = client.post(f"/api/v1/{url}", content | {"start": True}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "concurrent_execution")
    assert client.post(f"/api/v1/{url}", content | {"start": False}, format="json").json()["status"] == "pending"


def test_of_a_list_only_the_lines_that_are_new_are_made(api: Any, owner: Any, run: Any) -> None:
    client, url = api(owner), f"/api/v1/executions/{run.pk}/logs/"
    lines = [{"id": str(uuid7()), "level": "info", "message": str(number)} for number in range(3)]
    assert client.post(url, lines[:2], format="json").status_code == 201
    answer = client.post(url, lines, format="json")
    assert (answer.status_code, [line["message"] for line in answer.json()]) == (201, ["0", "1", "2"])
    assert client.post(url, lines, format="json").status_code == 200
    assert run.logs.count() == 3


def at_once(client: Any, url: str, bodies: list[Any]) -> Any:
    """Send all requests at once, each by a thread of its own; return how many got each status."""
    answers = race([partial(client.post, f"/api/v1/{url}", body, format="json") for body in bodies])
    return Counter(
        (answer.status_code, answer.json()["code"] if answer.status_code >= 400 else "") for answer in answers
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [*MODELS, "lines", "started"])
def test_of_8_who_make_the_same_at_once_one_makes_it_and_all_have_it(
    api: Any, owner: Any, requests: Any, kind: str
) -> None:
    url, content, _ = requests[{"lines": "line", "started": "run"}.get(kind, kind)]
    content |= {"start": True, "metadata": {"allow_concurrent": True}} if kind == "started" else {}
    client = api(owner)
    for _ in range(5):
        bodies: Any = [content | {"id": str(uuid7())} for _ in range(3)]
        body = bodies if kind == "lines" else bodies[0]
        assert at_once(client, url, [body] * 8) == {(201, ""): 1, (200, ""): 7}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", MODELS)
def test_of_8_who_make_something_else_under_one_id_at_once_one_makes_it(
    api: Any, owner: Any, requests: Any, kind: str
) -> None:
    url, content, other = requests[kind]
    client, content = api(owner), content | {"id": str(uuid7())}
    found = at_once(client, url, [content, content | other] * 4)
    assert found == {(201, ""): 1, (200, ""): 3, (409, "exists_with_other_content"): 4}


@pytest.mark.django_db(transaction=True)
def test_lists_of_lines_that_share_some_are_all_stored_once(api: Any, owner: Any, run: Any, requests: Any) -> None:
    url, content, _ = requests["line"]
    lines = [content | {"id": str(uuid7())} for _ in range(9)]
    found = at_once(api(owner), url, [lines[first : first + 4] for first in range(6)])
    assert set(found) <= {(201, ""), (200, "")}
    assert run.logs.count() == 9


def test_an_id_that_stands_twice_in_a_list_makes_nothing(api: Any, owner: Any, run: Any, requests: Any) -> None:
    url, content, _ = requests["line"]
    answer = api(owner).post(f"/api/v1/{url}", [content | {"id": str(uuid7())}] * 2, format="json")
    assert (answer.status_code, answer.json()["code"], run.logs.count()) == (409, "conflict", 0)


@pytest.mark.django_db(transaction=True)
def test_of_8_who_start_a_pending_run_by_a_repeat_all_find_it_running(api: Any, owner: Any, requests: Any) -> None:
    url, content, _ = requests["run"]
    client = api(owner)
    for _ in range(3):
        body = content | {"id": str(uuid7()), "metadata": {"allow_concurrent": True}}
        client.post(f"/api/v1/{url}", body, format="json")
        assert at_once(client, url, [body | {"start": True}] * 8) == {(200, ""): 8}
        assert WorkflowExecution.objects.get(pk=body["id"]).version == 2


def test_an_id_of_a_row_that_the_caller_may_not_see_is_409_and_shows_nothing(
    api: Any, stranger: Any, run: Any, requests: Any
) -> None:
    other = WorkflowExecutionFactory(workflow__owner=stranger)
    body = {"id": str(run.pk), "workflow": str(other.workflow_id), "trigger_type": "manual"}
    answer = api(stranger).post("/api/v1/executions/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


FIELDS = {"run": "context", "node": "input_data", "line": "data"}


def holding(kind: str, secret: str) -> dict[str, Any]:
    return {FIELDS[kind]: {"secrets": {"api_key": secret}} if kind == "run" else {"password": secret}}


def run_of(kind: str, content: Any, run: Any) -> str:
    return content["id"] if kind == "run" else str(run.pk)


@pytest.mark.parametrize("kind", MODELS)
def test_other_secrets_are_other_content(api: Any, owner: Any, requests: Any, run: Any, kind: str) -> None:
    url, content, _ = requests[kind]
    content, client = content | {"id": str(uuid7())}, api(owner)
    answers = [
        client.post(f"/api/v1/{url}", content | holding(kind, secret), format="json")
        for secret in ("secret-AAA-123", "secret-BBB-456", "secret-AAA-123")
    ]
    assert [answer.status_code for answer in answers] == [201, 409, 200]
    assert answers[1].json()["code"] == "exists_with_other_content"
    assert "secret-" not in "".join(answer.content.decode() for answer in answers)


@pytest.mark.parametrize("kind", MODELS)
def test_a_secret_where_there_was_none_is_other_content(api: Any, owner: Any, requests: Any, kind: str) -> None:
    url, content, _ = requests[kind]
    content, client = content | {"id": str(uuid7()), **holding(kind, MASK)}, api(owner)
    assert client.post(f"/api/v1/{url}", content, format="json").status_code == 201
    answer = client.post(f"/api/v1/{url}", content | holding(kind, "secret-BBB-456"), format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "exists_with_other_content")


@pytest.mark.parametrize("kind", MODELS)
def test_a_repeat_is_the_same_after_the_run_learnt_a_secret_that_stood_in_it(
    api: Any, owner: Any, requests: Any, run: Any, kind: str
) -> None:
    url, content, _ = requests[kind]
    name = {"run": "metadata", "node": "input_data", "line": "data"}[kind]
    content, client = content | {"id": str(uuid7()), name: {"note": "ask swordfish-99"}}, api(owner)
    assert client.post(f"/api/v1/{url}", content, format="json").status_code == 201
    ExecutionLogFactory(workflow_execution_id=run_of(kind, content, run), data={"password": "swordfish-99"})
    again = client.post(f"/api/v1/{url}", content, format="json")
    assert again.status_code == 200, again.json()
    answer = client.post(f"/api/v1/{url}", content | {name: {"note": "ask swordfish-98"}}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "exists_with_other_content")


def test_a_long_line_is_the_same_after_the_run_learnt_a_secret_that_stood_in_it(api: Any, owner: Any, run: Any) -> None:
    line = {"id": str(uuid7()), "level": "info", "message": "ask swordfish-99 " * 5_000}
    client, url = api(owner), f"/api/v1/executions/{run.pk}/logs/"
    assert client.post(url, line, format="json").status_code == 201
    ExecutionLogFactory(workflow_execution=run, data={"password": "swordfish-99"})
    assert client.post(url, line, format="json").status_code == 200


@pytest.mark.parametrize("purged", [False, True])
def test_once_the_secrets_are_deleted_what_is_masked_alone_is_compared(
    api: Any, owner: Any, requests: Any, purged: bool
) -> None:
    url, content, _ = requests["run"]
    content, client = content | {"id": str(uuid7()), **holding("run", "secret-AAA-123")}, api(owner)
    content["input_data"] = {"said": "with secret-AAA-123"}
    assert client.post(f"/api/v1/{url}", content, format="json").status_code == 201
    WorkflowExecution.objects.get(pk=content["id"]).cancel()
    WorkflowExecution.objects.filter(pk=content["id"]).update(ended_at=Now() - timedelta(hours=2))
    assert not purged or retention.purge() == 1
    assert client.post(f"/api/v1/{url}", content, format="json").status_code == 200
    other = client.post(f"/api/v1/{url}", content | {"input_data": {"said": "without"}}, format="json")
    assert (other.status_code, other.json()["code"]) == (409, "exists_with_other_content")


@pytest.mark.parametrize("kind", MODELS)
def test_secrets_in_the_content_do_not_make_it_another(api: Any, owner: Any, requests: Any, kind: str) -> None:
    url, content, _ = requests[kind]
    content, client = content | {"id": str(uuid7()), **holding(kind, "hunter2-hunter2")}, api(owner)
    first, again = (client.post(f"/api/v1/{url}", content, format="json") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert "hunter2" not in again.content.decode()
