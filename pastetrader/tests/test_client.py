"""A client that a public generator made of schema.yaml, knowing nothing else of us, against a live server."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from ledgerkit.db.models import uuid7
from pastetrader.tests.live_server import ROOT, Site
from pastetrader.tests.proofs import LONG

NAME = "ledger_client"
SESSION = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE | re.DOTALL)[0]


def paste(commands: str, folder: Path, site: Site, token: str) -> str:
    """Run commands of the API's reference in a folder; return their output."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e"], input=commands, cwd=folder, text=True, capture_output=True, timeout=120, check=False,
        env=os.environ | {"API": f"{site.address}/api/v1", "TOKEN": token, "PATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def client_folder(site: Site, token: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the session of the API's reference has made the client."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copy(ROOT / "schema.yaml", folder)
    assert "Warning" not in paste(SESSION, folder, site, token)
    return folder


@pytest.fixture(scope="module")
def client_package(client_folder: Path) -> Iterator[Path]:
    folder = client_folder / ".local" / "client"
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.mark.skipif(not LONG, reason="`make proofs` checks the types: generator and mypy take 12 seconds")
def test_what_is_generated_is_typed_without_a_fault(tmp_path: Path) -> None:
    """Generate without the generator's hooks: the newest ruff rewrites annotations of its code into wrong ones."""
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    for command in (
        ("openapi_python_client", "generate", "--path", ROOT / "schema.yaml", "--meta", "none", "--output-path", NAME,
         "--config", "config.yml", "--fail-on-warning"),
        ("mypy", "--config-file=", "--cache-dir", "cache", NAME),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def ledger(client_package: Path, site: Site, token: str) -> Iterator[Any]:
    """Yield each operation by its name, as a call that returns the parsed response."""
    module = importlib.import_module(NAME)
    models = importlib.import_module(f"{NAME}.models")
    with module.AuthenticatedClient(base_url=site.address, token=token) as client:
        yield SimpleNamespace(models=models, **calls(client_package / NAME / "api", client))


def calls(folder: Path, client: Any) -> dict[str, Callable[..., Any]]:
    return {path.stem: bound(path, client) for path in folder.glob("*/*.py") if path.stem != "__init__"}


def bound(path: Path, client: Any) -> Callable[..., Any]:
    operation: ModuleType = importlib.import_module(f"{NAME}.api.{path.parent.name}.{path.stem}")
    return lambda *ids, **asked: operation.sync(*ids, client=client, **asked)


def test_a_generated_client_records_a_run_with_a_failure_a_retry_and_a_completion(ledger: Any) -> None:
    models, run = ledger.models, uuid7()
    nodes = [
        models.NodeRequest(name="load", node_type=models.NodeType.TOOL),
        models.NodeRequest(name="rank", node_type=models.NodeType.AGGREGATOR),
    ]
    edges = [models.EdgeRequest(source_node="load", target_node="rank")]
    workflow = ledger.create_workflow(body=models.WorkflowRequest(name="Prices", nodes=nodes, edges=edges))
    assert isinstance(workflow, models.Workflow)
    assert [node.name for node in workflow.nodes] == ["load", "rank"]

    body = models.WorkflowExecutionRequest(
        id=run, workflow=workflow.id, trigger_type=models.TriggerType.MANUAL, metadata=models.Metadata(tags=["typed"])
    )
    made = ledger.create_execution(body=body, idempotency_key="one")
    assert (made.id, made.status, made.metadata.tags) == (run, models.ExecutionStatus.PENDING, ["typed"])
    assert ledger.create_execution(body=body, idempotency_key="one") == made
    assert ledger.start_execution(run).started_at.tzinfo is not None

    load = ledger.create_execution_node(run, body=models.NodeExecutionRequest(node="load"))
    rank = ledger.create_execution_node(run, body=models.NodeExecutionRequest(node=str(workflow.nodes[1].id)))
    assert (load.node_name, load.execution_order, rank.execution_order) == ("load", 0, 1)
    ledger.start_node_execution(load.id)
    lines = [line(models, "info", f"line {n}", load.id) for n in range(7)]
    assert [written.message for written in ledger.create_execution_logs(run, body=lines)] == [x.message for x in lines]
    assert ledger.create_execution_logs(run, body=line(models, "error", "cut off", load.id)).level == "error"

    ledger.fail_node_execution(load.id, body=models.FailNodeRequest(error_message="cut off", error_traceback="..."))
    assert ledger.retry_node_execution(load.id).retry_count == 1
    assert ledger.get_node_execution_attempt(load.id, 1).error_message == "cut off"
    ledger.start_node_execution(load.id)
    done = ledger.complete_node_execution(load.id, body=models.CompleteRequest(output_data={"rows": 2368}))
    assert done.output_data == {"rows": 2368}

    ledger.start_node_execution(rank.id)
    refused = ledger.complete_execution(run, body=models.CompleteRequest())
    assert isinstance(refused, models.Problem)
    assert (refused.status, refused.code, refused.current_state) == (409, "invalid_transition", "running")
    ledger.complete_node_execution(rank.id, body=models.CompleteRequest())
    assert ledger.complete_execution(run, body=models.CompleteRequest(output_data=[1])).status == "completed"
    shown_whole_and_in_part(ledger, run)


def shown_whole_and_in_part(ledger: Any, run: UUID) -> None:
    expand = ledger.models.GetExecutionExpandItem
    whole = ledger.get_execution(run, expand=[expand.NODES, expand.LOGS])
    assert ([node.node_name for node in whole.nodes], len(whole.logs)) == (["load", "rank"], 8)
    fields = ledger.models.GetExecutionFieldsItem
    part = ledger.get_execution(run, fields=[fields.ID, fields.DURATION_SECONDS])
    assert part.to_dict().keys() == {"id", "duration_seconds"}
    assert part.duration_seconds == whole.duration_seconds > 0


def line(models: Any, level: str, message: str, node: UUID) -> Any:
    return models.ExecutionLogRequest(level=models.LogLevel(level), message=message, node_execution=node)


def test_a_generated_client_follows_the_pages_of_a_filtered_list(ledger: Any) -> None:
    models = ledger.models
    workflow = ledger.create_workflow(body=models.WorkflowRequest(name="Pages of prices"))
    for number in range(7):
        metadata = models.Metadata(tags=["odd" if number % 2 else "even"], allow_concurrent=True)
        body = models.WorkflowExecutionRequest(
            workflow=workflow.id, trigger_type=models.TriggerType.EVENT, metadata=metadata
        )
        run = ledger.create_execution(body=body)
        if number % 3 == 0:
            ledger.cancel_execution(run.id)
    states = [models.ExecutionStatus.PENDING, models.ExecutionStatus.CANCELLED]
    found = list(pages(ledger, status=states, tag="even", workflow=[str(workflow.id)]))
    assert [len(page) for page in found] == [2, 2]
    assert len({row.id for page in found for row in page}) == 4
    assert [len(page) for page in pages(ledger, status=states[1:], workflow=[str(workflow.id)])] == [2, 1]


def pages(ledger: Any, **filters: Any) -> Iterator[Any]:
    page = ledger.list_executions(page_size=2, **filters)
    yield page.results
    while page.next_:
        cursor = page.next_.split("cursor=")[1].split("&")[0].replace("%3D", "=")
        page = ledger.list_executions(page_size=2, cursor=cursor, **filters)
        yield page.results


def test_a_refusal_is_a_problem_with_its_places(ledger: Any) -> None:
    models = ledger.models
    body = models.WorkflowExecutionRequest(workflow=uuid7(), trigger_type=models.TriggerType.MANUAL)
    refused = ledger.create_execution(body=body)
    assert isinstance(refused, models.Problem)
    assert (refused.status, [fault.pointer for fault in refused.errors]) == (400, ["/workflow"])
    assert ledger.get_execution(uuid7()).code == "not_found"


def test_the_client_of_the_api_reference_works_when_pasted(
    ledger: Any, client_folder: Path, site: Site, token: str
) -> None:
    assert {path.name for path in client_folder.iterdir()} == {"schema.yaml", ".local"}  # none for `make lint`
    completed = ledger.list_executions(status=[ledger.models.ExecutionStatus.COMPLETED], page_size=10).results
    listed = paste(SESSION.splitlines()[-1], client_folder, site, token)
    assert (listed.strip(), completed != []) == (str([run.id for run in completed]), True)
