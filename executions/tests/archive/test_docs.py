"""The examples of docs/archive.md that read files, run."""

import re
import shutil
import subprocess
import sys
import venv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from executions.archive import ensure_archived
from executions.models import WorkflowExecution
from executions.tests.archive.runs import EARLIER
from executions.tests.factories import WorkflowExecutionFactory
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.proofs import LONG

pytestmark = pytest.mark.django_db

EXAMPLES = re.findall(r"```(sh|python|sql)\n(.*?)```", (ROOT / "docs/archive.md").read_text(), re.DOTALL)
SH, PLAIN, PANDAS, DUCKDB = (text for _language, text in EXAMPLES)


@pytest.fixture
def failed(workflow: Any, archive: Path) -> WorkflowExecution:
    """Return the failed run of two that are archived."""
    runs = [WorkflowExecutionFactory(workflow=workflow, created_at=EARLIER) for _ in range(2)]
    runs[0].start(at=EARLIER)
    runs[0].complete(at=EARLIER + timedelta(seconds=1))
    runs[1].start(at=EARLIER)
    runs[1].fail("went wrong", at=EARLIER + timedelta(seconds=1))
    ensure_archived([run.pk for run in runs])
    return runs[1]


def output(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def expected(run: WorkflowExecution) -> str:
    return f"{run.pk}\tmomentum\twent wrong\n"


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("zstd")), reason="jq and zstd are not installed")
def test_jq_reads_a_file(failed: Any, archive: Path) -> None:
    assert output(archive, "sh", "-c", SH) == expected(failed)


def test_python_reads_a_file(failed: Any, archive: Path) -> None:
    text = PLAIN if sys.version_info < (3, 14) else PLAIN.replace("backports", "compression")
    assert output(archive, sys.executable, "-c", text) == expected(failed)


@pytest.mark.skipif(not LONG, reason="installs pandas and DuckDB (make proofs)")
def test_pandas_and_duckdb_read_a_file(failed: Any, archive: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    output(tmp_path, python, "-m", "pip", "install", "-q", "duckdb", "pandas", "zstandard")
    assert output(archive, python, "-c", PANDAS) == expected(failed)
    read = f"import duckdb; print(*map(str, duckdb.sql({DUCKDB.strip().rstrip(';')!r}).fetchall()[0]), sep='\\t')"
    assert output(archive, python, "-c", read) == expected(failed)
