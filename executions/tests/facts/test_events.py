"""Many facts in one call: what is stored, and what is answered."""

import gzip
import json
from typing import Any
from uuid import UUID

import pytest

from executions.conf import executions_settings
from executions.facts import run_plan
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import URL, line, new_id, run_facts, send
from ledgerkit.rest.decompression import zstd
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def test_a_whole_run_in_one_call(engine: Any, workflow: Workflow) -> None:
    run, fetch = new_id(), new_id()
    answer = send(engine, *run_facts(workflow, run, {"fetch": fetch, "rank": new_id()}, lines=3, input_data={"n": 1}))
    assert answer == {"applied": 12, "known": 0, "refused": 0, "refusals": [], "notices": []}
    row = WorkflowExecution.objects.get(pk=run)
    assert (row.status, row.input_data, row.output_data, row.version) == ("completed", {"n": 1}, {"ok": True}, 3)
    assert row.workflow_name == workflow.name
    assert row.graph is not None
    node = NodeExecution.objects.get(pk=fetch)
    assert (node.status, node.node_name, node.execution_order, node.version) == ("completed", "fetch", 0, 3)
    assert [each.message for each in ExecutionLog.objects.filter(workflow_execution=run)] == [
        "line 0",
        "line 1",
        "line 2",
    ]


def test_a_batch_has_the_history_of_single_calls(engine: Any, owner: Any, workflow: Workflow) -> None:
    run = new_id()
    send(engine, *run_facts(workflow, run, {"fetch": new_id()}))
    entries = WorkflowExecution.objects.get(pk=run).history.order_by("happened_at", "id")
    assert [(each.act, each.from_status, each.to_status, each.node_execution_id is None) for each in entries] == [
        ("create", None, "pending", True),
        ("start", "pending", "running", True),
        ("start", "pending", "running", False),
        ("complete", "running", "completed", False),
        ("complete", "running", "completed", True),
    ]
    assert {(each.through, each.username, each.token_name) for each in entries} == {("api", "owner", "test")}


def test_again_it_changes_nothing_and_says_so(engine: Any, workflow: Workflow) -> None:
    facts = run_facts(workflow, new_id(), {"fetch": new_id()}, lines=2)
    send(engine, *facts)
    before = list(WorkflowExecution.objects.values()), list(NodeExecution.objects.values())
    assert send(engine, *facts) == {"applied": 0, "known": len(facts), "refused": 0, "refusals": [], "notices": []}
    assert (list(WorkflowExecution.objects.values()), list(NodeExecution.objects.values())) == before


def test_half_of_it_is_new(engine: Any, workflow: Workflow) -> None:
    facts = run_facts(workflow, new_id(), {"fetch": new_id()}, lines=2)
    send(engine, *facts[:4])
    answer = send(engine, *facts)
    assert (answer["applied"], answer["known"], answer["refused"]) == (len(facts) - 4, 4, 0)
    assert WorkflowExecution.objects.get().status == "completed"


def test_a_line_of_a_run_that_has_ended(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    send(engine, *run_facts(workflow, run))
    assert send(engine, line(run, "late"))["applied"] == 1


def test_lines_hold_any_text(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    texts = ["a\tb\nc\rd\\e", "\\N", "\\.", "한글 \u2028 🙂", "", "\x01\x0b\x1b[31m", "'quotes\""]
    data = [{"text": text, text: [text]} for text in texts]
    lines = [line(run, text, data=each) for text, each in zip(texts, data, strict=True)]
    assert send(engine, *run_facts(workflow, run), *lines)["refused"] == 0
    stored = ExecutionLog.objects.filter(workflow_execution=run).order_by("id")
    assert [(each.message, each.data) for each in stored] == list(zip(texts, data, strict=True))


def test_a_workflow_is_made_before_its_runs(engine: Any, owner: Any) -> None:
    definition = {"name": "backtest", "nodes": [{"name": "load", "node_type": "tool"}]}
    ensure = {"kind": "workflow.ensure", "workflow": definition}
    run, node = new_id(), new_id()
    facts = [
        {"kind": "execution.create", "id": run, "workflow": "backtest", "trigger_type": "manual"},
        {"kind": "node.create", "id": node, "workflow_execution": run, "node": "load"},
        ensure,
    ]
    assert send(engine, *facts)["applied"] == 3
    assert send(engine, *facts)["known"] == 3
    assert NodeExecution.objects.get(pk=node).node.workflow.owner == owner
    changed = ensure | {"workflow": definition | {"description": "by the minute"}}
    assert send(engine, changed)["applied"] == 1
    assert Workflow.objects.get(name="backtest").version == 2


def test_a_part_of_a_workflow_is_added_before_its_runs(engine: Any, workflow: Workflow) -> None:
    part = {
        "name": workflow.name, "only_add": True, "nodes": [{"name": "check", "node_type": "tool"}],
        "edges": [{"source_node": "report", "target_node": "check"}, {"source_node": "check", "target_node": "fetch"}],
    }  # fmt: skip
    run = new_id()
    facts = [
        {"kind": "execution.create", "id": run, "workflow": workflow.name, "trigger_type": "manual"},
        {"kind": "workflow.ensure", "workflow": part},
    ]
    assert send(engine, *facts)["applied"] == 2
    assert send(engine, *facts)["known"] == 2
    graph = WorkflowExecution.objects.get(pk=run).graph
    assert graph is not None
    assert (len(graph.nodes), len(graph.edges)) == (4, 3)  # the edge back is left out
    refused = send(engine, {"kind": "workflow.ensure", "workflow": part | {"only_add": "yes"}})["refusals"]
    assert [each["detail"] for each in refused] == ["/workflow/only_add: Expected true or false."]


def test_a_refused_workflow(api: Any, engine: Any, owner: Any, workflow: Workflow) -> None:
    bad = {"kind": "workflow.ensure", "workflow": {"name": "x", "nodes": [{"name": "load", "node_type": "tol"}]}}
    answer = send(engine, bad, *run_facts(workflow, new_id()))
    assert (answer["applied"], answer["refused"]) == (3, 1)
    assert answer["refusals"][0]["index"] == 0
    assert "/nodes/0/node_type: Expected one of: " in answer["refusals"][0]["detail"]
    good = {"kind": "workflow.ensure", "workflow": {"name": "x"}}
    for wish in (good, {"kind": "workflow.ensure", "workflow": {"name": workflow.name, "only_add": True}}):
        refused = send(api(owner, scopes=["executions:report"]), wish)["refusals"]
        assert [each["code"] for each in refused] == ["permission_denied"]


PACK = {"": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("encoding", PACK, ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("kind", "form"), [("application/json", "[{}]"), ("application/x-ndjson", "{}\n\n")], ids=["an array", "NDJSON"]
)
def test_every_form_of_a_body(engine: Any, workflow: Workflow, kind: str, form: str, encoding: str) -> None:
    facts = [json.dumps(fact) for fact in run_facts(workflow, new_id(), {"fetch": new_id()}, lines=2)]
    body = form.format((",\n" if kind == "application/json" else "\n").join(facts)).encode()
    headers = {"HTTP_CONTENT_ENCODING": encoding} if encoding else {}
    for number in ("applied", "known"):
        answer = engine.post(URL, PACK[encoding](body), content_type=kind, **headers)
        assert answer.status_code == 200, answer.content
        assert answer.json()[number] == len(facts)


def test_a_bad_line_of_ndjson_is_refused_alone(engine: Any, workflow: Workflow) -> None:
    lines = [*map(json.dumps, run_facts(workflow, new_id())), '{"kind": "log", ', '{"kind": "log", "message": NaN}']
    answer = engine.post(URL, "\n".join(lines), content_type="application/x-ndjson").json()
    assert answer["applied"] == 3
    assert [(each["index"], each["code"]) for each in answer["refusals"]] == [(3, "invalid"), (4, "invalid")]


def test_a_line_of_ndjson_that_was_cut_off_leaves_the_rest_of_its_run(engine: Any, workflow: Workflow) -> None:
    facts = run_facts(workflow, new_id(), lines=1)
    body = "\n".join(map(json.dumps, facts))
    answer = engine.post(URL, body[:-20], content_type="application/x-ndjson").json()
    assert (answer["applied"], answer["refused"]) == (3, 1)
    assert answer["refusals"][0]["workflow_execution"] is None
    assert WorkflowExecution.objects.get().status == "running"
    again = engine.post(URL, body, content_type="application/x-ndjson").json()
    assert (again["applied"], again["known"]) == (1, 3)
    as_array = engine.post(URL, json.dumps(facts)[:-20], content_type="application/json")
    assert as_array.status_code == 400


def test_a_name_means_a_workflow_of_the_callers_own(api: Any, staff: Any, workflow: Workflow) -> None:
    """Staff see the workflows of others: that one call names one by its id does not lend its name to another fact."""
    first, second = new_id(), new_id()
    facts = [
        {"kind": "execution.create", "id": first, "workflow": str(workflow.pk), "trigger_type": "manual"},
        {"kind": "execution.create", "id": second, "workflow": workflow.name, "trigger_type": "manual"},
    ]
    refusals = send(api(staff), *facts)["refusals"]
    assert [(each["index"], each["code"]) for each in refusals] == [(1, "invalid")]
    assert WorkflowExecution.objects.get().pk == UUID(first)


def test_tags_are_stored_in_nfc_as_a_single_call_stores_them(engine: Any, workflow: Workflow) -> None:
    run = new_id()
    fact = {"kind": "execution.create", "id": run, "workflow": str(workflow.pk), "trigger_type": "manual"}
    send(engine, fact | {"metadata": {"tags": ["e\u0301"]}})
    assert WorkflowExecution.objects.get().metadata == {"tags": ["\u00e9"]}


def test_no_part_of_a_secret_stays_where_a_long_error_is_cut(engine: Any, workflow: Workflow) -> None:
    run, secret = new_id(), "swordfish-99-swordfish"
    engine.post(
        "/api/v1/executions/",
        {"id": run, "workflow": str(workflow.pk), "trigger_type": "manual", "start": True,
         "context": {"secrets": {"a": secret}}},
        format="json",
    )  # fmt: skip
    most = executions_settings.MAX_ERROR_BYTES
    fetch = new_id()
    facts = [
        {
            "kind": "node.create",
            "id": fetch,
            "workflow_execution": run,
            "node": "fetch",
            "input_data": {"token": "another-one"},
        },
        {"kind": "node.start", "id": fetch, "workflow_execution": run},
        {
            "kind": "node.fail",
            "id": fetch,
            "workflow_execution": run,
            "error_message": f"{'x' * (most - 60)} {secret * 9}",
        },
    ]
    assert send(engine, *facts)["refused"] == 0
    assert "swordfish" not in str(NodeExecution.objects.get().error_message)


def test_a_call_makes_a_bounded_number_of_entries(engine: Any, workflow: Workflow, monkeypatch: Any) -> None:
    monkeypatch.setattr(run_plan, "MAX_ENTRIES", 3)
    answer = send(engine, *run_facts(workflow, new_id(), {"fetch": new_id()}, lines=1))
    assert [each["code"] for each in answer["refusals"]] == ["too_large"]


def test_a_run_with_too_many_entries_leaves_room_for_another(engine: Any, workflow: Workflow, monkeypatch: Any) -> None:
    monkeypatch.setattr(run_plan, "MAX_ENTRIES", 3)
    bad, good = run_facts(workflow, new_id(), {"fetch": new_id()}), run_facts(workflow, new_id())
    answer = send(engine, *bad, *good)
    assert [(each["workflow_execution"], each["code"]) for each in answer["refusals"]] == [(bad[0]["id"], "too_large")]
    assert answer["applied"] == len(good)


MANY = "[" + "[]," * 600_000 + "[]]"


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/x-ndjson", f'"\n{MANY}'.encode()), ("application/json", f"\u2241{MANY}".encode("utf-16"))],
)
def test_no_form_of_a_body_hides_its_elements(engine: Any, kind: str, body: bytes) -> None:
    assert engine.generic("POST", URL, body, content_type=kind).status_code in {400, 413}
