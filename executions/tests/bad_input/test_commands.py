"""Bad words on the command line and bad files: a sentence, never a traceback."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from executions.models import WorkflowExecution

from .inputs import FILES, TEXTS

pytestmark = pytest.mark.django_db
# Words that a shell can pass: no NUL, and bytes that are no text arrive as lone surrogates.
WORDS = {name: text for name, text in TEXTS.items() if "\0" not in text and len(text) < 4000}
WORDS["bytes"] = "caf\udce9"


def say(*words: str) -> str:
    """Run a command. Return what it says, or its error."""
    out = io.StringIO()
    try:
        with transaction.atomic():
            call_command(*words, stdout=out, stderr=out)
    except CommandError as error:
        out.write(str(error) or "an error without a sentence")
    return out.getvalue()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder of an empty one: some words name them, and a command reads all that is in them."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("what", WORDS)
@pytest.mark.usefixtures("empty_folder")
def test_a_word_that_is_none_is_answered_with_a_sentence(owner: Any, what: str, tmp_path: Path) -> None:
    word = f"={WORDS[what]}"
    for words in (
        ["create_token", f"--name{word}", "owner"], ["create_token", f"--expires{word}", "owner"],
        ["create_token", f"--workflow{word}", "owner"], ["create_token", "--", word[1:]],
        ["import_runs", f"--owner{word}", str(tmp_path)], ["import_runs", "--owner=owner", "--", word[1:]],
        ["restore_archive", f"--run{word}", "x"], ["restore_archive", "--", word[1:]],
        ["archive", f"--verify{word}"], ["upkeep", f"--only{word}"],
    ):  # fmt: skip
        assert say(*words) != "an error without a sentence", words


@pytest.mark.parametrize("what", [name for name in FILES if name != "argo-cycle"])
@pytest.mark.parametrize("name", ["run_results.json", "manifest.json", "events.ndjson"])
def test_a_file_that_is_something_else_imports_nothing(owner: Any, what: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[what])
    say("import_runs", "--owner=owner", str(path))
    assert WorkflowExecution.objects.count() == 0


def test_a_cycle_of_argo_is_imported_without_it(owner: Any, tmp_path: Path) -> None:
    path = tmp_path / "argo.json"
    path.write_bytes(FILES["argo-cycle"])
    assert "Imported 1 run" in say("import_runs", "--owner=owner", str(path))
    assert WorkflowExecution.objects.get().workflow.edges.count() == 0


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_archive_restores_nothing(owner: Any, what: str, tmp_path: Path) -> None:
    for name in ("2026-11-27.ndjson.zst", "2026-11-27.manifest.json"):
        path = tmp_path / name
        path.write_bytes(FILES[what])
        say("restore_archive", str(path))
        say("archive", "--verify", str(path))
    assert WorkflowExecution.objects.count() == 0
