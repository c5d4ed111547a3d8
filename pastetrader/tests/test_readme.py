"""Check statements of the README and of docs/ against the code."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from alerts.conf import AlertsSettings
from executions.conf import ExecutionsSettings
from executions.tests.factories import WorkflowExecutionFactory, in_state
from ledgerkit.conf import LedgerkitSettings
from pastetrader.tests.live_server import ROOT
from tokens.conf import TokensSettings
from workflows.conf import WorkflowsSettings
from workflows.models import Workflow

README = (ROOT / "README.md").read_text()
API_REFERENCE = (ROOT / "docs" / "api.md").read_text()
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text()
API = "/api/v1/"


def test_the_layout_names_each_folder_of_the_repository_once() -> None:
    layout = DEVELOPMENT.partition("## Layout")[2].partition("\n## ")[0]
    of_repository, _, of_ledger = layout.partition("Inside `executions`")
    assert_folders_are_named(of_repository, ROOT, besides=set())
    assert_folders_are_named(of_ledger, ROOT / "executions", besides={"management", "migrations", "tests"})


def assert_folders_are_named(layout: str, parent: Path, *, besides: set[str]) -> None:
    named = re.findall(r"^    (\S+)/ ", layout, re.MULTILINE)
    packages = {path.parent.name for path in parent.glob("*/__init__.py")}
    assert len(named) == len(set(named))
    assert {name for name in named if not Path(parent, name).is_dir()} == set()
    assert packages - set(named) - besides == set()


def test_each_word_of_where_is_finds_its_place_in_at_most_ten_lines() -> None:
    section = DEVELOPMENT.partition("## Where is ...?")[2].partition("\n## ")[0]
    command = " ".join(line.strip(" \\") for line in section.splitlines() if line.startswith("    "))
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(rows) == section.count("\n| ") - 1
    found = {word: _lines_of(command, word) for word, _ in rows}
    assert {word: lines for word, lines in found.items() if len(lines) > 10} == {}
    assert [row for row in rows if not any(line.startswith(f"{row[1]}:") for line in found[row[0]])] == []


def _lines_of(command: str, word: str) -> list[str]:
    arguments = [word if each == "WORD" else each for each in shlex.split(command)]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


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
    linked = set(re.findall(r"\]\(docs/([a-z-]+\.md)\)", README))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - linked == set()


DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
SETTINGS = {
    "ALERTS": AlertsSettings,
    "EXECUTIONS": ExecutionsSettings,
    "WORKFLOWS": WorkflowsSettings,
    "TOKENS": TokensSettings,
    "LEDGERKIT": LedgerkitSettings,
}
KEY = re.compile(rf"\b({'|'.join(SETTINGS)})\[[\"'](\w+)[\"']\]")
APPS = ("alerts", "executions", "workflows", "tokens", "ledgerkit")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_key_of_a_setting_that_a_document_names_exists(document: str) -> None:
    named = set(KEY.findall((ROOT / document).read_text()))
    assert {(name, key) for name, key in named if key not in SETTINGS[name].all_settings()} == set()


@pytest.mark.parametrize(
    "document", sorted({*DOCUMENTS} - {"docs/settings.md", "docs/decisions.md", "docs/operate.md"})
)
def test_only_the_list_of_settings_names_the_variables_of_the_apps(document: str) -> None:
    keys = {f"{name}_{key}" for name, settings in SETTINGS.items() for key in settings.all_settings()}
    assert keys & set(re.findall(r"[A-Z_]+", (ROOT / document).read_text())) == set()


def test_the_apps_name_settings_by_the_keys_that_any_project_has() -> None:
    sources = [path for app in APPS for path in (ROOT / app).rglob("*.py") if "tests" not in path.parts]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sources if "migrations" not in path.parts}
    named = {(path, *found) for path, text in texts.items() for found in KEY.findall(text)}
    assert {each for each in named if each[2] not in SETTINGS[each[1]].all_settings()} == set()
    variables = re.compile(rf"\b(?:PASTETRADER_[A-Z]+|({'|'.join(SETTINGS)})_([A-Z_]+))\b")
    found = {(path, match) for path, text in texts.items() for match in variables.finditer(text)}
    keys = {name: set(settings.all_settings()) for name, settings in SETTINGS.items()}
    assert {f"{path}: {match[0]}" for path, match in found if match[1] is None or match[2] in keys[match[1]]} == set()


@pytest.mark.django_db
def test_which_lists_take_fields(api: Any, owner: Any, workflow: Workflow) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    assert (
        "Every row and every list, except those of workflows, alerts and notes, takes `fields=id,status`"
        in API_REFERENCE
    )
    lists = re.findall(r"^\| `(executions/[^`]*?|node-executions/)` \| [`–e]", API_REFERENCE, re.MULTILINE)
    lists = [
        path
        for path in lists
        if not path.endswith(("graph/", "stream/", "gaps/", "keep/", "notes/", "actions/{id}/runs/"))
    ]
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
