"""`/readyz` of a server whose database is stopped by SIGSTOP: it takes connections and statements, and answers none."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pastetrader.tests.conftest import postmaster
from pastetrader.tests.live_server import Serve, Site

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ready")]
PROBES_FOR = 12  # seconds, one each second
PATIENCE = 5  # seconds, after which no probe may be answered by what was found before


@contextmanager
def stopped(data_dir: Path) -> Iterator[None]:
    leader = postmaster(data_dir)
    assert leader is not None
    family = [leader, *leader.children(recursive=True)]
    for each in family:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            each.send_signal(signal.SIGCONT)


def probe(site: Site) -> tuple[int, list[str]]:
    """Return the status, 0 if there is no answer within two seconds, and the checks that failed."""
    try:
        answer = httpx.get(f"{site.address}/readyz", timeout=2)
    except httpx.TimeoutException:
        return 0, []
    return answer.status_code, [name for name, each in answer.json()["checks"].items() if not each["ok"]]


def test_a_server_is_not_ready_while_its_database_hangs(serve: Serve, data_dir: Path) -> None:
    site = serve("--workers", "1")
    _wait_until_ready(site)
    found = []
    with stopped(data_dir):
        since = time.monotonic()
        while (waited := time.monotonic() - since) < PROBES_FOR:
            found.append((waited, *probe(site)))
            time.sleep(1)
    later = [(status, failed) for waited, status, failed in found if waited > PATIENCE]
    assert later, found
    assert all(answer == (503, ["database"]) for answer in later), found
    _wait_until_ready(site)


def _wait_until_ready(site: Site) -> None:
    until = time.monotonic() + 30
    while (found := probe(site)) != (200, []):
        assert time.monotonic() < until, found
        time.sleep(0.5)
