"""Memory of a server to which an engine reports lines for hours."""

import json
import urllib.request
from statistics import mean
from typing import Any

import psutil
import pytest

from ledgerkit.db.models import uuid7
from pastetrader.tests.live_server import Site
from pastetrader.tests.proofs import times

LINES = 5_000  # in a call
LIMIT = 300_000_000  # bytes of each process, after each call
# From the second tenth of the calls to the last. Less than what bodies would take if they were kept: it was 1.13.
MOST_GROWTH = 1.25


@pytest.mark.slow
def test_a_million_lines(site: Site, token: str) -> None:
    """Send a million lines, 100,000 in the short form."""
    run = str(uuid7())
    workflow = {"name": "lines", "nodes": []}
    create = {"kind": "execution.create", "id": run, "workflow": "lines", "trigger_type": "manual"}
    send(site, token, [{"kind": "workflow.ensure", "workflow": workflow}, create])
    used: list[int] = []
    for call in range(times(20, 200)):
        lines = [
            {"kind": "log", "id": str(uuid7()), "workflow_execution": run, "level": "info", "message": f"{call} {n}"}
            for n in range(LINES)
        ]
        assert send(site, token, lines)["applied"] == LINES
        of_processes = memory_of_processes(site)
        assert max(of_processes) < LIMIT
        used.append(sum(of_processes))
    tenth = len(used) // 10
    assert mean(used[-tenth:]) < MOST_GROWTH * mean(used[tenth : 2 * tenth])


def memory_of_processes(site: Site) -> list[int]:
    """Return the resident memory of the server's processes, without those of the database."""
    of_all = [psutil.Process(site.process.pid), *psutil.Process(site.process.pid).children(recursive=True)]
    return [each.memory_info().rss for each in of_all if "postgres" not in each.name()]


def send(site: Site, token: str, facts: list[dict[str, Any]]) -> Any:
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{site.address}/api/v1/events/", json.dumps(facts).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)
