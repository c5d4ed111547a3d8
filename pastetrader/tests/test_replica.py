"""Lists and pages of a real server are read from a real streaming replica, while it has what the caller wrote."""

import html
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import httpx
import pytest

from pastetrader.tests.live_server import ALL_SCOPES, Site
from pastetrader.tests.prepared_folder import copy, manage, new_home
from pastetrader.tests.proofs import LONG
from pastetrader.tests.replica import Replica

ENOUGH = "3600"  # seconds of a paused replay, however busy the machine is
RUNS = "/admin/executions/workflowexecution/"
PAGES = ("/admin/", RUNS, "/admin/executions/nodeexecution/", "/admin/workflows/workflow/")
LIST = "executions/"
LISTS = (LIST, "workflows/")


class Ledger:
    """A server, an engine that writes, a program that only reads, and a person."""

    def __init__(self, home: Path, replica: Replica, lag: str = ENOUGH) -> None:
        self.home, self.replica = home, replica
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_REPLICA_URL", replica.url)
            patch.setenv("DATABASE_REPLICA_MAX_LAG", lag)
            patch.setenv("PASTETRADER_DURABLE", "0")
            self.site = Site(home, False, "--workers", "2").wait()
        self.engine, self.reader = self.client("engine"), self.client("reader")
        self.workflow = self.engine.post("workflows/", json={"name": f"Prices {lag}"}).json()["id"]

    def end(self) -> None:
        for client in vars(self).values():
            if isinstance(client, httpx.Client):
                client.close()
        self.site.end()

    def client(self, name: str) -> httpx.Client:
        made = manage("create_token", "admin", "--name", name, *ALL_SCOPES, local=self.home)
        assert made.returncode == 0, made.stderr
        headers = {"Authorization": f"Token {made.stdout.strip()}"}
        return httpx.Client(base_url=f"{self.site.address}/api/v1/", headers=headers, timeout=30)

    @cached_property
    def person(self) -> httpx.Client:
        person = httpx.Client(base_url=self.site.address, timeout=30, follow_redirects=True)
        person.get("/admin/login/")
        [password] = re.findall(r"password (\S+)\n", self.site.output)
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": person.cookies["csrftoken"]}
        assert person.post("/admin/login/?next=/admin/", data=form).url.path == "/admin/"
        return person

    def new_run(self) -> str:
        new = {"workflow": self.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}
        made = self.engine.post("executions/", json=new | {"start": True})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def wait_for_replica(self, client: httpx.Client, address: str) -> None:
        wait_until(lambda: self.reads_replica(client, address))

    def reads_replica(self, client: httpx.Client, address: str) -> bool:
        with self.replica.paused():
            return not has(client, address, self.new_run())


def has(client: httpx.Client, address: str, text: str) -> bool:
    response = client.get(address)
    assert response.status_code == 200, response.text
    return text in response.text


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def ledger(prepared: Path) -> Iterator[Ledger]:
    """The server starts before there is a replica."""
    replica = Replica()
    with new_home() as home:
        copy(prepared, home)
        try:
            ledger = Ledger(home, replica)
            assert has(ledger.reader, LIST, ledger.new_run())
            replica.copy(home / "postgres")
            replica.start()
            yield ledger
            ledger.end()
        finally:
            replica.remove()


def test_a_list_is_read_from_the_replica_but_by_who_has_just_written(ledger: Ledger) -> None:
    def is_old_for_others() -> bool:
        with ledger.replica.paused():
            run = ledger.new_run()
            assert has(ledger.engine, LIST, run)
            return not has(ledger.reader, LIST, run)

    wait_until(is_old_for_others)


def test_a_page_is_read_from_the_replica_unless_it_must_be_fresh(ledger: Ledger) -> None:
    def is_old() -> bool:
        with ledger.replica.paused():
            run = ledger.new_run()
            assert run in ledger.person.get(RUNS, headers={"Cache-Control": "no-cache"}).text
            return not has(ledger.person, RUNS, run)

    wait_until(is_old)


def test_who_has_cancelled_a_run_sees_it_cancelled_in_every_process(ledger: Ledger) -> None:
    def is_running_for_others() -> bool:
        run = ledger.new_run()
        address = f"/api/v1/executions/{run}/"
        wait_until(lambda: ledger.replica.query(f"SELECT 1 FROM workflow_executions WHERE id = '{run}'") == 1)
        with ledger.replica.paused():
            token = {"X-CSRFToken": ledger.person.cookies["csrftoken"]}
            assert ledger.person.post(f"{address}cancel/", json={}, headers=token).status_code == 200
            assert {status_at(ledger, address) for _connection in range(6)} == {"cancelled"}
            return has(ledger.reader, f"{LIST}{run}/", '"status":"running"')

    wait_until(is_running_for_others)


def status_at(ledger: Ledger, address: str) -> str:
    """Return the status of a run as the person reads it over a connection of its own, which any process may accept."""
    with httpx.Client(base_url=ledger.site.address, cookies=ledger.person.cookies, timeout=30) as person:
        return str(person.get(address).json()["status"])


def test_a_row_that_is_not_there_yet_is_read_from_the_primary(ledger: Ledger) -> None:
    def is_not_in_the_list() -> bool:
        with ledger.replica.paused():
            run = ledger.new_run()
            assert has(ledger.reader, f"{LIST}{run}/", run)
            return not has(ledger.reader, LIST, run)

    wait_until(is_not_in_the_list)


def test_what_happens_after_a_page_was_read_is_in_its_stream(ledger: Ledger) -> None:
    """The stream reads the primary, and begins where the replica was."""

    def is_in_the_stream_alone() -> bool:
        with ledger.replica.paused():
            run = ledger.new_run()
            page = ledger.person.get(RUNS).text
            [stream] = re.findall(r'"(/api/v1/executions/stream/[^"]+)"', page)
            if run not in page:
                with ledger.person.stream("GET", html.unescape(stream)) as events:
                    assert any(run in line for line in events.iter_lines())
            return run not in page

    wait_until(is_in_the_stream_alone)


@pytest.mark.skipif(
    not LONG, reason="`make proofs` starts another server for it; test_replica_watch.py is the short form"
)
def test_a_replica_that_is_too_far_behind_is_not_read(ledger: Ledger) -> None:
    impatient = Ledger(ledger.home, ledger.replica, lag="2")
    try:
        impatient.wait_for_replica(impatient.reader, LIST)
        with ledger.replica.paused():
            run = impatient.new_run()
            wait_until(lambda: has(impatient.reader, LIST, run))  # which takes as long as it may be behind
        impatient.wait_for_replica(impatient.reader, LIST)
    finally:
        impatient.end()


def test_no_request_fails_while_the_replica_is_gone(ledger: Ledger) -> None:
    """It is cut beneath requests that read it, and is read again once it is back. The log says so, and no more."""
    ledger.wait_for_replica(ledger.reader, LIST)
    statuses: Counter[int] = Counter()
    is_over = threading.Event()
    readers = [(ledger.reader, LISTS), (ledger.person, PAGES)]
    threads = [threading.Thread(target=read_all, args=(*each, statuses, is_over)) for each in readers]
    for thread in threads:
        thread.start()
    try:
        for _cut in range(2):
            ledger.replica.stop()
            assert has(ledger.reader, LIST, ledger.new_run())
            ledger.replica.start()
            ledger.wait_for_replica(ledger.reader, LIST)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert [*statuses] == [200]
    _status, log = ledger.site.interrupt(signal.SIGTERM)
    assert "The primary is read, as the replica cannot be: " in log
    assert "ERROR" not in log


def read_all(client: httpx.Client, addresses: Sequence[str], statuses: Counter[int], is_over: threading.Event) -> None:
    while not is_over.is_set():
        for address in addresses:
            statuses[client.get(address).status_code] += 1
