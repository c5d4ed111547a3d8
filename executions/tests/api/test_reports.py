"""A report of a fact is kept whatever its text; a field that no call takes is refused with its place."""

import json
from typing import Any

import pytest

from executions.audit import act_as
from executions.conf import executions_settings
from executions.models import ExecutionLog, HistoryEntry, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from workflows.models import Workflow

BAD = "a\x00b\ud800c"
SHOWN = r"a\x00b\ud800c"
API = "/api/v1/"
TRACE = 'Traceback (most recent call last):\n  File "load.py", line 1, in <module>\n    raise {0}\n{0}\n'


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    made: WorkflowExecution = WorkflowExecutionFactory(workflow=workflow)
    made.start()
    return made


@pytest.fixture
def node(run: WorkflowExecution) -> NodeExecution:
    made: NodeExecution = NodeExecutionFactory(workflow_execution=run)
    made.start()
    return made


def post(client: Any, path: str, body: Any) -> Any:
    """Send the body as json.dumps() writes it, half of a surrogate pair included."""
    return client.generic("POST", f"{API}{path}", json.dumps(body), content_type="application/json")


def stored_value(row: Any, field: str = "error_message") -> Any:
    return type(row).objects.values_list(field, flat=True).get(pk=row.pk)


class TestTexts:
    def test_an_error_and_its_traceback_are_made_visible(self, api: Any, owner: Any, node: NodeExecution) -> None:
        body = {"error_message": BAD, "error_traceback": BAD}
        answer = post(api(owner), f"node-executions/{node.pk}/fail/", body)
        assert answer.status_code == 200
        assert (stored_value(node), stored_value(node, "error_traceback")) == (SHOWN, SHOWN)

    def test_one_bad_line_of_a_batch_leaves_the_others(self, api: Any, owner: Any, run: WorkflowExecution) -> None:
        batch = [{"level": "info", "message": text} for text in ("first", BAD, "last")]
        assert post(api(owner), f"executions/{run.pk}/logs/", batch).status_code == 201
        assert [*run.logs.order_by("id").values_list("message", flat=True)] == ["first", SHOWN, "last"]

    def test_a_reason_is_made_visible(self, api: Any, owner: Any, run: WorkflowExecution) -> None:
        answer = post(api(owner), f"executions/{run.pk}/cancel/", {"reason": BAD})
        assert answer.status_code == 200
        assert HistoryEntry.objects.get(act="cancel").reason == SHOWN

    @pytest.mark.parametrize("key", ["x", "message"])
    def test_a_document_stays_strict(self, api: Any, owner: Any, run: WorkflowExecution, key: str) -> None:
        line = {"level": "info", "message": "x", "data": {key: BAD}}
        answer = post(api(owner), f"executions/{run.pk}/logs/", line)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/data/{key}")
        assert not ExecutionLog.objects.exists()


class TestEmptyErrors:
    @pytest.mark.parametrize("body", [{}, {"error_message": ""}, {"error_message": None}, {"error_message": " \n"}])
    def test_an_error_that_says_nothing_is_a_sentence(
        self, api: Any, owner: Any, node: NodeExecution, body: dict[str, Any]
    ) -> None:
        assert post(api(owner), f"node-executions/{node.pk}/fail/", body).status_code == 200
        assert stored_value(node) == "Failed without an error message."

    @pytest.mark.parametrize(
        ("trace", "name"),
        [
            (TRACE.format("TimeoutError"), "TimeoutError"),
            (TRACE.format("asyncio.exceptions.CancelledError: "), "CancelledError"),
            ("gone", ""),
            ("x" * 100_000, ""),
            ("Error: it says something else\nand goes on (here)", ""),
        ],
    )
    def test_it_names_the_class_that_the_traceback_ends_with(
        self, api: Any, owner: Any, node: NodeExecution, trace: str, name: str
    ) -> None:
        body = {"error_message": "", "error_traceback": trace}
        assert post(api(owner), f"node-executions/{node.pk}/fail/", body).status_code == 200
        assert stored_value(node) == (f"{name} without" if name else "Failed without") + " an error message."

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (TimeoutError(), "TimeoutError without an error message."),
            (KeyError("ticker"), "'ticker'"),
            (str(TimeoutError()), "Failed without an error message."),
            (None, "Failed without an error message."),
        ],
    )
    def test_in_process_the_exception_itself_is_taken(
        self, run: WorkflowExecution, node: NodeExecution, error: Any, text: str
    ) -> None:
        node.fail(error)
        run.fail(error)
        assert [stored_value(node), stored_value(run)] == [text, text]

    @pytest.mark.parametrize("given", ["", " \n"])
    def test_every_other_way_in_says_it_too(self, run: WorkflowExecution, node: NodeExecution, given: str) -> None:
        node.fail("x", TRACE.format("TimeoutError"))
        run.fail("x")
        node.error_message = run.error_message = given
        node.save()
        run.save()
        assert (stored_value(node), stored_value(run)) == (
            "TimeoutError without an error message.",
            "Failed without an error message.",
        )
        stamps = {"status": "failed", "started_at": run.started_at, "ended_at": run.ended_at, "error_message": given}
        imported = WorkflowExecution(workflow=run.workflow, trigger_type="manual", **stamps)
        WorkflowExecution.objects.bulk_create([imported])
        WorkflowExecution.objects.filter(pk=run.pk).update(error_message=given)
        WorkflowExecution.objects.create(workflow=run.workflow, trigger_type="manual", **stamps)
        errors = WorkflowExecution.objects.failed().values_list("error_message", flat=True)
        assert [*errors] == ["Failed without an error message."] * 3

    def test_what_has_not_failed_may_have_an_empty_one_and_a_failure_none(self, run: WorkflowExecution) -> None:
        WorkflowExecution.objects.filter(pk=run.pk).update(error_message="")
        assert stored_value(run) == ""
        run.refresh_from_db()
        run.fail("x")
        run.error_message = None
        run.save()
        assert stored_value(run) is None


class TestLongTexts:
    def test_an_error_is_cut_with_a_mark(self, run: WorkflowExecution, node: NodeExecution, settings: Any) -> None:
        node.fail("é" * 100_000, "first\n" + "x" * 400_000 + "\nTimeoutError")
        run.fail("é" * 100_000)
        for row in (run, node):
            assert len(stored_value(row).encode()) <= executions_settings.MAX_ERROR_BYTES
            assert stored_value(row).startswith("éé")
            assert stored_value(row).endswith("of 200,000 bytes]")
        trace = stored_value(node, "error_traceback")
        assert len(trace.encode()) <= executions_settings.MAX_TRACEBACK_BYTES
        assert (trace[:6], trace[-13:]) == ("first\n", "\nTimeoutError")
        assert "of 400,019 bytes" in trace

    def test_every_other_way_in_cuts_too(self, run: WorkflowExecution, settings: Any) -> None:
        most = 2_000
        settings.EXECUTIONS = settings.EXECUTIONS | {"MAX_ERROR_BYTES": most}
        NodeExecution.objects.bulk_create(
            [
                NodeExecutionFactory.build(
                    workflow_execution=run, node=run.workflow.nodes.first(), error_message="x" * 9_000
                )
            ]
        )
        WorkflowExecution.objects.filter(pk=run.pk).update(error_message="x" * 9_000 + "\x00")
        saved = WorkflowExecution.objects.get(pk=run.pk)
        saved.error_message = "y" * 9_000
        saved.save()
        assert [most - 9 < len(stored_value(row).encode()) <= most for row in (run, run.node_executions.get())] == [
            True
        ] * 2

    def test_a_reason_is_cut_with_a_mark(self, api: Any, owner: Any, run: WorkflowExecution, settings: Any) -> None:
        body = {"reason": "x" * 9_000}
        assert post(api(owner), f"executions/{run.pk}/cancel/", body).status_code == 200
        assert HistoryEntry.objects.get(act="cancel").reason.endswith("of 9,000 bytes]")
        with act_as(reason="y" * 9_000):
            run.delete()
        assert len(HistoryEntry.objects.filter(act="cancel")) == 0

    def test_a_secret_at_the_cut_is_masked_first(self, workflow: Workflow, settings: Any) -> None:
        run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"key": "hunter2pw"}})
        run.start()
        run.fail("x" * (executions_settings.MAX_ERROR_BYTES - 40) + "hunter2pw" * 9)
        assert "hunter2" not in stored_value(run)


LINE = {"level": "info", "message": "x"}
NODE = {"name": "a", "node_type": "tool", "foo": 1}
UNKNOWN = [
    ("executions/", {"trigger_type": "manual", "workflow": "", "started_at": "2026-11-28T08:00:00Z"}, "/started_at"),
    ("executions/{run}/complete/", {"duration": 3}, "/duration"),
    ("executions/{run}/fail/", {"error_message": "x", "error_traceback": "y"}, "/error_traceback"),
    ("executions/{run}/cancel/", {"why": "x"}, "/why"),
    ("executions/{run}/nodes/", {"node": "fetch", "status": "running"}, "/status"),
    ("node-executions/{node}/skip/", {"reason": "x"}, "/reason"),
    ("executions/{run}/logs/", LINE | {"a/b": 1}, "/…"),  # a name that is no word may be a secret: it is not repeated
    ("executions/{run}/logs/", [LINE, LINE, LINE | {"colour": 1}], "/2/colour"),
    ("workflows/", {"name": "x", "owner": 1}, "/owner"),
    ("workflows/", {"name": "x", "nodes": [NODE]}, "/nodes/0/foo"),
    ("workflows/{workflow}/duplicate/", {"title": "x"}, "/title"),
]  # fmt: skip


class TestUnknownFields:
    @pytest.mark.parametrize(("path", "body", "pointer"), UNKNOWN)
    def test_each_is_refused_with_its_place(
        self, api: Any, owner: Any, node: NodeExecution, path: str, body: Any, pointer: str
    ) -> None:
        ids = {"run": node.workflow_execution_id, "node": node.pk, "workflow": node.node.workflow_id}
        if isinstance(body, dict) and "workflow" in body:
            body = body | {"workflow": str(ids["workflow"])}
        answer = post(api(owner), path.format(**ids), body)
        errors = answer.json()["errors"]
        assert (answer.status_code, [error["pointer"] for error in errors]) == (400, [pointer])
        assert errors[0]["detail"].startswith("Unknown field: this call takes ")

    def test_the_sentence_says_what_is_taken(self, api: Any, owner: Any, run: WorkflowExecution) -> None:
        answer = post(api(owner), f"executions/{run.pk}/fail/", {"message": "x"})
        assert answer.json()["errors"][0]["detail"] == "Unknown field: this call takes at, token, error_message."

    @pytest.mark.parametrize("place", [("nodes", "foo"), ("edges", "colour")])
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_what_was_read_of_a_workflow_may_be_sent_back(
        self, api: Any, owner: Any, workflow: Workflow, method: str, place: tuple[str, str]
    ) -> None:
        client, url = api(owner), f"{API}workflows/{workflow.pk}/"
        read = client.get(url).json()
        assert getattr(client, method)(url, read | {"name": "other"}, format="json").status_code == 200
        kind, name = place
        read["version"] += 1
        read[kind][1][name] = 1
        answer = getattr(client, method)(url, read, format="json")
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{kind}/1/{name}"]
