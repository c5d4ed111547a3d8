"""Lists, expansions and streams are bounded in bytes: errors are shown by their heads, and a page ends early."""

import json
from typing import Any

import pytest
from django.utils import timezone

from executions.live.reader import RunReader
from executions.models import ExecutionLog, NodeExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow

API = "/api/v1/"
PAGE = 100_000
LONG = "é" * 20_000


@pytest.fixture(autouse=True)
def _limit(settings: Any) -> None:
    settings.LEDGERKIT = settings.LEDGERKIT | {"MAX_PAGE_BYTES": PAGE}


def walk(client: Any, url: str, back: bool = False) -> list[list[dict[str, Any]]]:
    """Return all pages by following their links."""
    pages = []
    while url:
        answer = client.get(url)
        assert (answer.status_code, len(answer.content) < 2 * PAGE) == (200, True)
        pages.append(answer.json()["results"])
        url = answer.json()["previous" if back else "next"]
    return pages


class TestHeads:
    def test_lists_show_the_first_two_kilobytes_and_say_that_it_goes_on(
        self, api: Any, owner: Any, workflow: Workflow
    ) -> None:
        client, run = api(owner), WorkflowExecutionFactory(workflow=workflow)
        run.start()
        node = NodeExecutionFactory(workflow_execution=run)
        node.start()
        node.fail(LONG)
        node.retry()
        node.start()
        node.fail(LONG)
        run.fail(LONG)
        run.retry()
        lists = [f"executions/{run.pk}/attempts/", f"node-executions/{node.pk}/attempts/"]
        for url in lists:
            self.check_list(client, url)
            whole = client.get(f"{API}{url}1/").json()
            assert (whole["error_message"], "error_is_cut" in whole) == (LONG, False)
        run.start()
        run.fail(LONG)
        self.check_list(client, "executions/")
        assert client.get(f"{API}executions/{run.pk}/").json()["error_message"] == LONG

    def check_list(self, client: Any, url: str) -> None:
        row = client.get(API + url).json()["results"][0]
        assert row["error_message"].endswith("of 40,000 bytes]")
        assert (len(row["error_message"].encode()) <= 2_048, row["error_is_cut"]) == (True, True)

    @pytest.mark.parametrize(("error", "is_cut"), [("x" * 2_048, False), ("x" * 2_049, True), ("한" * 683, True)])
    def test_what_is_short_enough_is_whole(
        self, api: Any, owner: Any, workflow: Workflow, error: str, is_cut: bool
    ) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        run.start()
        node = NodeExecutionFactory(workflow_execution=run)
        node.start()
        node.fail(error)
        expanded = api(owner).get(f"{API}executions/{run.pk}/?expand=nodes").json()["nodes"]
        listed = api(owner).get(f"{API}node-executions/").json()["results"]
        assert [row["error_is_cut"] for row in (*expanded, *listed)] == [is_cut] * 2
        assert (expanded[0]["error_message"] == error) is not is_cut


class TestPages:
    @pytest.mark.parametrize("size", [3, 50, 500])
    @pytest.mark.parametrize("back", [False, True])
    def test_a_page_of_runs_ends_early_and_the_next_goes_on(
        self, api: Any, owner: Any, workflow: Workflow, size: int, back: bool
    ) -> None:
        runs = [
            WorkflowExecutionFactory(workflow=workflow, metadata={"n": n, "x": "y" * (30_000 if n % 3 else 5)})
            for n in range(14)
        ]
        client, url = api(owner), f"{API}executions/?page_size={size}"
        pages = walk(client, url)
        if back:
            last = client.get(url).json()
            while last["next"]:
                last = client.get(last["next"]).json()
            pages = [page[::-1] for page in walk(client, last["previous"], back=True)]
            pages[0] = last["results"][::-1] + pages[0]
        rows = [row for page in pages for row in page]
        wanted = runs if back else runs[::-1]
        assert [(row["id"], row["metadata"]) for row in rows] == [(str(run.pk), run.metadata) for run in wanted]
        assert max(map(len, pages)) <= max(size, 10)

    def test_one_row_larger_than_a_page_is_a_page(self, api: Any, owner: Any, workflow: Workflow) -> None:
        for _ in range(3):
            WorkflowExecutionFactory(workflow=workflow, metadata={"x": "y" * 150_000})
        assert [len(page) for page in walk(api(owner), f"{API}executions/")] == [1, 1, 1]

    def test_a_small_row_before_one_larger_than_a_page_is_a_page(
        self, api: Any, owner: Any, workflow: Workflow
    ) -> None:
        for size in (150_000, 5):  # the newest is the first
            WorkflowExecutionFactory(workflow=workflow, metadata={"x": "y" * size})
        pages = walk(api(owner), f"{API}executions/")
        assert [[len(row["metadata"]["x"]) for row in page] for page in pages] == [[5], [150_000]]

    def test_pages_of_lines_and_of_workflows(self, api: Any, owner: Any, workflow: Workflow) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        data = {"x": "y" * 40_000}
        for n in range(6):
            ExecutionLog(workflow_execution=run, level="info", message="z" * 9_000, data=data if n else None).save()
            Workflow.objects.create(name=f"large {n}", owner=owner, config=data, description="d" * 9_000)
        lines = walk(api(owner), f"{API}executions/{run.pk}/logs/?page_size=500")
        assert [line["data"] for page in lines for line in page] == [None] + [data] * 5
        assert {len(line["message"]) for page in lines for line in page} == {9_000}
        assert len(lines) > 2
        workflows = walk(api(owner), f"{API}workflows/?page_size=500")
        assert [row["config"] for page in workflows for row in page][:6] == [data] * 6
        expanded = api(owner).get(f"{API}executions/{run.pk}/?expand=logs").json()["logs"]
        assert [line["id"] for line in expanded] == [line["id"] for page in lines for line in page][-2:]

    def test_fields_that_are_left_out_do_not_count(self, api: Any, owner: Any, workflow: Workflow) -> None:
        for _ in range(4):
            WorkflowExecutionFactory(workflow=workflow, metadata={"x": "y" * 90_000})
        assert [len(page) for page in walk(api(owner), f"{API}executions/?fields=id,status")] == [4]

    def test_a_page_of_small_rows_is_one_statement(
        self, api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
    ) -> None:
        for _ in range(5):
            WorkflowExecutionFactory(workflow=workflow, metadata={"x": 1})
        client = api(owner)
        with django_assert_num_queries(3):  # the token, the workflows of the owner, the runs
            assert len(client.get(f"{API}executions/").json()["results"]) == 5


@pytest.mark.parametrize("error", ["x", LONG])
def test_the_nodes_of_a_run_are_bounded_together_and_say_that_there_are_more(
    api: Any, owner: Any, workflow: Workflow, error: str
) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node, now = workflow.nodes.first(), timezone.now()
    stamps = {"status": "failed", "started_at": now, "ended_at": now, "error_message": error}
    rows = [NodeExecution(workflow_execution=run, node=node, execution_order=n, **stamps) for n in range(200)]
    NodeExecution.objects.bulk_create(rows)
    client, url = api(owner), f"{API}executions/{run.pk}/?expand=nodes"
    answer = client.get(url)
    assert len(answer.content) < 1.1 * PAGE
    few = [row["execution_order"] for row in answer.json()["nodes"]]
    assert few == list(range(len(few)))
    assert (len(answer.content) > 0.6 * PAGE, answer.json()["nodes_are_cut"]) == (True, True)
    NodeExecution.objects.filter(execution_order__gte=len(few)).delete()
    whole = client.get(url).json()
    assert (len(whole["nodes"]), "nodes_are_cut" in whole) == (len(few), False)


# Lines that are not committed lie outside of every snapshot.
@pytest.mark.django_db(transaction=True)
def test_a_step_of_a_stream_ends_early_and_the_next_goes_on(workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    lines = [
        ExecutionLog(workflow_execution=run, level="info", message=str(n), data={"x": "y" * 40_000}) for n in range(7)
    ]
    ExecutionLog.objects.bulk_create(lines)
    source = RunReader(run.pk)
    cursor, told = source.begin("start"), []
    for _ in range(7):
        step = source.read(cursor)
        assert sum(len(line.text) for line in step.lines) < 2 * PAGE
        told += [json.loads(line.text)["message"] for line in step.lines]
        cursor = step.after
        if not cursor.until:
            break
    assert told == [str(n) for n in range(7)]


@pytest.mark.parametrize("ordering", ["created", "started", "-duration"])
def test_a_list_in_any_order_has_its_large_documents_and_ends_its_pages_early(
    api: Any, owner: Any, workflow: Workflow, ordering: str
) -> None:
    metadata = {"large": "x" * 30_000}
    WorkflowExecutionFactory.create_batch(6, workflow=workflow, metadata=metadata)
    pages = walk(api(owner), f"{API}executions/?ordering={ordering}")
    assert [row["metadata"] for page in pages for row in page] == [metadata] * 6
    assert len(pages) > 1
