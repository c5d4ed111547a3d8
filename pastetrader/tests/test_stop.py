"""`manage.py serve` ends within five seconds of SIGTERM or SIGINT, whatever its clients do."""

import http.client
import json
import re
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local_postgres.socket_path import socket_dir
from pastetrader.tests.conftest import postmaster
from pastetrader.tests.live_server import ALL_SCOPES, Serve, Site
from pastetrader.tests.prepared_folder import manage
from pastetrader.tests.run_queue import QueueTime

LIMIT = 5  # seconds
SLOW_BODY = (
    "POST /api/v1/workflows/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {}\r\nContent-Length: 100\r\n\r\n{{"
)
SLOW_HEADERS = "GET / HTTP/1.1\r\nHost: local"


class Clients:
    """Clients of a server: of a stream, of a body and of headers that do not end, and of a request that waits."""

    def __init__(self, site: Site, token: str, stack: ExitStack) -> None:
        self.token, self.stack = token, stack
        ((self.host, port),) = re.findall(r"//(.+):(\d+)", site.address)
        self.port = int(port)

    def ask(self, method: str, path: str, body: Any = None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        self.stack.callback(connection.close)
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), headers)
        return connection

    def made(self, path: str, body: Any) -> Any:
        return json.load(self.ask("POST", path, body).getresponse())

    def occupy(self, run: str) -> None:
        for _ in range(4):  # each process gets some
            assert self.ask("GET", f"executions/{run}/stream/").getresponse().status == 200
            self.ask("POST", f"executions/{run}/start/", {})
            for output in SLOW_BODY.format(self.token), SLOW_HEADERS, "":
                peer = self.stack.enter_context(socket.create_connection((self.host, self.port)))
                peer.sendall(output.encode())


@pytest.mark.slow
@pytest.mark.usefixtures("ready")
def test_a_server_ends_in_time_whatever_is_under_way(serve: Serve, data_dir: Path) -> None:
    """Two servers of one database, with one process and with two, that end at the same time."""
    sites = {signal.SIGTERM: serve("--workers", "1"), signal.SIGINT: serve("--workers", "2")}
    token = manage("create_token", "admin", *ALL_SCOPES, local=data_dir.parent).stdout.strip()
    with ExitStack() as stack:
        clients = [Clients(site, token, stack) for site in sites.values()]
        workflow = clients[0].made("workflows/", {"name": "stop"})["id"]
        run = clients[0].made("executions/", {"workflow": workflow, "trigger_type": "event"})["id"]
        lock(stack, data_dir, run)
        for each in clients:
            each.occupy(run)
        time.sleep(0.3)  # until the requests wait for the lock
        took: dict[int, float] = {}
        ending = [threading.Thread(target=end, args=(site, sent, took)) for sent, site in sites.items()]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
    assert took.keys() == sites.keys()
    assert max(took.values()) < LIMIT, took
    assert postmaster(data_dir) is None
    for site in sites.values():
        assert site.output.endswith("Stopped.\n")


def lock(stack: ExitStack, data_dir: Path, run: str) -> None:
    """Lock the row of a run, for which a request that changes it waits."""
    connection = psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader")
    stack.callback(connection.close)
    connection.execute("SELECT FROM workflow_executions WHERE id = %s FOR UPDATE", [run])


def end(site: Site, sent: signal.Signals, took: dict[int, float]) -> None:
    began = time.monotonic()
    with QueueTime(site.process.pid) as waited:
        code, err = site.interrupt(sent)
    sys.stderr.write(err)  # shown if the test fails
    if (code, "Traceback" in err) == (0, False):
        took[sent] = time.monotonic() - began - waited.seconds
