"""Bad values in each field of each fact, bad calls of `events/` and bad events of OpenLineage."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from executions.facts.fact_kinds import KINDS
from executions.models import WorkflowExecution
from executions.tests.facts.reporting import URL, new_id, send
from executions.tests.imports.test_lineage import URL as LINEAGE
from executions.tests.imports.test_lineage import event
from pastetrader.tests.proofs import LONG
from workflows.models import Workflow

from .inputs import BODIES, TEXTS, VALUES

REQUIRED = {
    "workflow": "momentum", "trigger_type": "manual", "node": "fetch", "level": "info", "message": "x",
    "token": "11111111-1111-4111-8111-111111111111",
}  # fmt: skip
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # in a document
FIELDS = [
    (kind, field.name)
    for kind in KINDS
    for field in msgspec.structs.fields(kind)
    if (kind.__struct_config__.tag, field.name) != ("workflow.ensure", "at")
]
PLACES = (
    "eventTime", "eventType", "producer", "schemaURL", "run", "run/runId", "run/facets", "run/facets/parent",
    "run/facets/parent/run", "run/facets/parent/run/runId", "run/facets/parent/job/name", "run/facets/errorMessage",
    "job", "job/name", "job/namespace", "job/facets", "job/facets/jobType", "inputs", "outputs",
)  # fmt: skip


def fact_with(kind: Any, field: str, value: str) -> str:
    """Return the text of a fact whose other fields are right."""
    good: dict[str, Any] = {"kind": kind.__struct_config__.tag, "id": new_id(), "workflow_execution": new_id()}
    names = {each.name: each.required for each in msgspec.structs.fields(kind)}
    right = good | REQUIRED | ({"workflow": {"name": "new"}} if kind.__struct_config__.tag == "workflow.ensure" else {})
    kept = {name: right[name] for name in ("kind", *names) if name in right and (name == "kind" or names[name])}
    kept.pop(field, None)
    return f"{json.dumps(kept)[:-1]}, {json.dumps(field)}: {value}}}"


def post(client: Any, url: str, body: bytes) -> Any:
    client.raise_request_exception = False
    response = client.generic("POST", url, body, content_type="application/json")
    assert response.status_code in {200, 201, 400, 413}, (response.status_code, response.content[:300])
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["detail"]
    return response


@pytest.mark.slow
@pytest.mark.parametrize("what", VALUES)
def test_a_field_of_a_fact_that_holds_something_else_is_refused_with_its_name(
    engine: Any, workflow: Workflow, what: str
) -> None:
    at = list(VALUES).index(what)
    fields = FIELDS if LONG else FIELDS[at % 4 :: 4]
    body = b"[%s]" % ",".join(fact_with(*field, VALUES[what]) for field in fields).encode()
    response = post(engine, URL, body)
    if response.status_code == 200:
        found = response.json()
        assert found["applied"] + found["known"] + found["refused"] == len(fields)
        for refusal in found["refusals"]:
            assert refusal["detail"]
            if refusal["code"] == "invalid":
                assert fields[refusal["index"]][1] in refusal["detail"], refusal


@pytest.mark.slow
@pytest.mark.parametrize("url", [URL, LINEAGE])
@pytest.mark.parametrize("what", BODIES)
def test_a_call_that_is_something_else_stores_nothing(engine: Any, workflow: Workflow, what: str, url: str) -> None:
    post(engine, url, BODIES[what])
    assert WorkflowExecution.objects.count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("what", VALUES)
def test_a_field_of_an_event_that_holds_something_else_is_refused_with_its_place(engine: Any, what: str) -> None:
    at = list(VALUES).index(what)
    for place in PLACES if LONG else PLACES[at % 4 :: 4]:
        post(engine, LINEAGE, _event_with(place, VALUES[what]).encode())


def _event_with(place: str, value: str) -> str:
    document = event("START", new_id(), "load", 1, new_id())
    *path, last = place.split("/")
    found = document
    for name in path:
        found = found[name]
    found[last] = "{value}"
    return json.dumps(document).replace('"{value}"', value)


def facts_of(name: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield the facts of a run that has the text wherever a reported text may stand."""
    run, node = new_id(), new_id()
    of_node = {"id": node, "workflow_execution": run}
    document = "" if UNSTORABLE.search(text) else text
    yield {"kind": "execution.create", "id": run, "workflow": "momentum", "trigger_type": "manual",
           "input_data": {name: document}, "context": {"note": [document]},
           "metadata": {"allow_concurrent": True, "note": {"is": document}}}  # fmt: skip
    yield {"kind": "execution.start", "id": run}
    yield {"kind": "node.create", "node": "fetch", "input_data": {"text": document}, **of_node}
    yield {"kind": "node.start", **of_node}
    yield {"kind": "log", "id": new_id(), "workflow_execution": run, "node_execution": node, "level": "error",
           "message": text, "data": {"text": document}}  # fmt: skip
    yield {"kind": "node.fail", "error_message": text, "error_traceback": text, **of_node}
    yield {"kind": "execution.fail", "id": run, "error_message": text}


def test_a_report_is_never_lost_for_its_text(engine: Any, workflow: Workflow) -> None:
    facts = [fact for name, text in TEXTS.items() for fact in facts_of(name, text)]
    refusals = send(engine, *facts)["refusals"]
    assert [(list(TEXTS)[each["index"] // 7], each["detail"]) for each in refusals] == []
    assert WorkflowExecution.objects.filter(status="failed").count() == len(TEXTS)


DOCUMENTS = ({"kind": "execution.create", "workflow": "momentum", "trigger_type": "manual"}, "input_data"), (
    {"kind": "execution.complete"}, "output_data",
)  # fmt: skip


def test_a_document_with_what_cannot_be_stored_is_refused_with_its_place(engine: Any, workflow: Workflow) -> None:
    for text in ("a\x00b", "a\ud800b"):
        for fact, field in DOCUMENTS:
            found = send(engine, {**fact, "id": new_id(), field: {"a/b": [text]}})
            assert [each["detail"].split(":")[0] for each in found["refusals"]] == [f"/{field}/a~1b/0"]
