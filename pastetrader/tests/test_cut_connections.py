"""A connection that breaks at any point of a POST: sent again with its key, the request has exactly one effect."""

import json
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from pastetrader.tests.live_server import Site
from pastetrader.tests.proofs import times

CUTS = times(5, 50)  # of each kind of POST that makes something
MOVES_CUT = times(2, 20)  # of each transition


class Caller:
    def __init__(self, site: Site, token: str) -> None:
        self.site, self.token = site, token

    def request(self, path: str, body: Any, key: str) -> bytes:
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {self.token}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def cut(self, request: bytes, sent: int, wait: float) -> None:
        """Send only the first bytes of a request, wait, and close the connection."""
        host, port = self.site.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            line.sendall(request[:sent])
            time.sleep(wait)

    def post(self, path: str, body: Any, key: str) -> Any:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json", "Idempotency-Key": key}
        request = urllib.request.Request(self.site.address + path, json.dumps(body).encode(), headers)
        for _ in range(50):
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                if json.load(error)["code"] != "idempotency_key_in_use":
                    raise
                time.sleep(0.1)
        raise AssertionError("the first request never ended")

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self.site.address + path, headers={"Authorization": f"Token {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@pytest.fixture
def caller(site: Site, token: str) -> Caller:
    return Caller(site, token)


def points(request: bytes, chance: random.Random) -> tuple[int, float]:
    """Return where to cut and how long to wait: half of the cuts fall into the request, half after it."""
    return chance.choice([chance.randrange(len(request)), len(request)]), chance.uniform(0, 0.05)


RUN, NODE = "/api/v1/executions/", "/api/v1/node-executions/"
FAILURE = {"error_message": "broke"}
# Of each move: what is said before it, and what it is sent with.
RUN_MOVES: dict[str, tuple[list[str], Any]] = {
    "start": ([], {}),
    "complete": (["start"], {"output_data": {"a": 1}}),
    "fail": (["start"], FAILURE),
    "cancel": (["start"], {}),
    "retry": (["start", "fail"], {}),
}
NODE_MOVES = RUN_MOVES | {"skip": ([], {})}


class Ledger:
    """The rows that the requests are about. `again` cuts a POST, sends it a second time and returns that response."""

    def __init__(self, caller: Caller) -> None:
        self.caller, self.chance = caller, random.Random(20261122)
        self.keys = count()
        nodes = [{"name": "one", "node_type": "tool", "retry_config": {"max_retries": 1}}]
        self.workflow = self.new("/api/v1/workflows/", {"name": "cut", "nodes": nodes})["id"]
        self.run = self.new_run()["id"]
        self.new(f"{RUN}{self.run}/start/", {})

    def new(self, path: str, body: Any) -> Any:
        return self.caller.post(path, body, f"new {next(self.keys)}")

    def again(self, path: str, body: Any) -> Any:
        key = f"cut {next(self.keys)}"
        request = self.caller.request(path, body, key)
        self.caller.cut(request, *points(request, self.chance))
        return self.caller.post(path, body, key)

    def body_of_run(self) -> Any:
        return {"workflow": self.workflow, "trigger_type": "event", "metadata": {"allow_concurrent": True}}

    def new_run(self) -> Any:
        return self.new(RUN, self.body_of_run())

    def new_node(self) -> Any:
        return self.new(f"{RUN}{self.run}/nodes/", {"node": "one"})

    def count(self, path: str) -> int:
        return len(self.caller.get(f"{path}?page_size=500")["results"])


def test_a_request_cut_at_any_point_and_sent_again_has_one_effect(caller: Caller) -> None:
    """A server for itself takes longer to start than all of the requests, so they share one."""
    ledger = Ledger(caller)
    rows_are_made_once(ledger)
    moves_are_made_once(ledger, RUN, RUN_MOVES, ledger.new_run)
    moves_are_made_once(ledger, NODE, NODE_MOVES, ledger.new_node)


def rows_are_made_once(ledger: Ledger) -> None:
    of_run, line = f"{RUN}{ledger.run}/", {"level": "info", "message": "one effect"}
    workflows = "/api/v1/workflows/"
    for path, body, rows in (
        (RUN, ledger.body_of_run(), RUN),
        (f"{of_run}nodes/", {"node": "one"}, f"{of_run}nodes/"),
        (f"{of_run}logs/", line, f"{of_run}logs/"),
        (f"{of_run}logs/", [line], f"{of_run}logs/"),
        (workflows, {"name": "once"}, workflows),
        (f"{workflows}{ledger.workflow}/duplicate/", {"name": "copied once"}, workflows),
    ):
        before = ledger.count(rows)
        for _ in range(CUTS):
            ledger.again(path, body)
        assert ledger.count(rows) == before + CUTS, path


def moves_are_made_once(ledger: Ledger, rows: str, moves: dict[str, Any], new: Callable[[], Any]) -> None:
    for move, (first, body) in moves.items():
        for _ in range(MOVES_CUT):
            row = new()
            for said in first:
                row = ledger.new(f"{rows}{row['id']}/{said}/", moves[said][1])
            moved = ledger.again(f"{rows}{row['id']}/{move}/", body)
            assert moved["version"] == ledger.caller.get(f"{rows}{row['id']}/")["version"] == row["version"] + 1, move
