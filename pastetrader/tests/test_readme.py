"""Check statements of the README and of docs/ against the code."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from executions.tests.factories import WorkflowExecutionFactory, in_state
from pastetrader.tests.live_server import ROOT
from workflows.models import Workflow

README = (ROOT / "README.md").read_text()
API_REFERENCE = (ROOT / "docs" / "api.md").read_text()
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text()
API = "/api/v1/"


def test_the_layout_names_each_folder_of_the_repository_once() -> None:
    layout = DEVELOPMENT.partition("## Layout")[2].partition("\n## ")[0]
    named = re.findall(r"^    (\S+)/ ", layout, re.MULTILINE)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert len(named) == len(set(named))
    assert {name for name in named if not Path(ROOT, name).is_dir()} == set()
    assert packages - set(named) == set()


def test_the_readme_has_at_most_200_lines_and_the_two_commands_on_its_first_screen() -> None:
    lines = README.splitlines()
    assert len(lines) <= 200
    first_screen = "\n".join(lines[:16])
    assert "    make run " in first_screen
    assert "    make test " in first_screen
    assert "](docs/screenshots/" in first_screen


@pytest.mark.parametrize(
    "document", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_every_file_that_a_document_names_exists(document: str) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    endings = {"/".join(parts[at:]) for parts in (name.split("/") for name in tracked) for at in range(len(parts))}
    named = re.findall(r"[\w./-]+\.(?:py|sql|js|css|html|md|toml)\b", (ROOT / document).read_text())
    assert {name.lstrip("./") for name in named if not name.startswith(".local/")} <= endings


def test_every_document_is_linked() -> None:
    linked = set(re.findall(r"\]\(docs/([a-z]+\.md)\)", README))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - linked == set()


@pytest.mark.django_db
def test_which_lists_take_fields(api: Any, owner: Any, workflow: Workflow) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    assert "Every row and every list, except those of workflows, takes `fields=id,status`" in API_REFERENCE
    lists = re.findall(r"^\| `(executions/[^`]*?|node-executions/)` \| [`–e]", API_REFERENCE, re.MULTILINE)
    lists = [path for path in lists if not path.endswith(("graph/", "stream/"))]
    assert {"executions/", "executions/{id}/", "executions/{id}/nodes/", "node-executions/"} <= set(lists)
    client = api(owner)
    taken = {path: client.get(API + path.format(id=run.pk), {"fields": "id"}).status_code for path in lists}
    assert set(taken.values()) == {200}, taken
    assert client.get(f"{API}workflows/", {"fields": "id"}).status_code == 400


@pytest.mark.django_db
def test_the_rule_of_one_run_at_a_time_and_what_its_refusal_advises(api: Any, owner: Any, workflow: Workflow) -> None:
    assert "**One run of a workflow runs at a time.**" in API_REFERENCE
    assert "**Only one run of a workflow runs at a time.**" in README
    client, body = api(owner), {"workflow": str(workflow.pk), "trigger_type": "manual"}
    first, second = (client.post(f"{API}executions/", body, format="json").json()["id"] for _ in "ab")
    client.post(f"{API}executions/{first}/start/")
    refused = client.post(f"{API}executions/{second}/start/").json()
    assert (refused["status"], refused["code"]) == (409, "concurrent_execution")
    assert "create a new one with metadata.allow_concurrent true" in refused["detail"]
    advised = body | {"metadata": {"allow_concurrent": True}, "start": True}
    assert client.post(f"{API}executions/", advised, format="json").json()["status"] == "running"
