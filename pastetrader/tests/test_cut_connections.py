"""A connection that breaks at any point of a POST: sent again with its key, the request has exactly one effect."""

import json
import random
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pastetrader.tests.conftest import manage
from pastetrader.tests.site import Serve, Site

CUTS = 20


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
        """Sends only the first bytes, waits, and is gone without a word."""
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
def caller(serve: Serve, data_dir: Path) -> Caller:
    site = serve()
    return Caller(site, manage("create_token", "admin", local=data_dir.parent).stdout.strip())


def points(request: bytes, chance: random.Random) -> tuple[int, float]:
    """Half of the cuts fall into the request, half after it, while the answer is made or on its way."""
    return chance.choice([chance.randrange(len(request)), len(request)]), chance.uniform(0, 0.05)


def test_a_request_cut_at_any_point_and_sent_again_has_one_effect(caller: Caller) -> None:
    chance = random.Random(20261122)
    workflow = caller.post("/api/v1/workflows/", {"name": "cut"}, "workflow")["id"]
    run = caller.post("/api/v1/executions/", {"workflow": workflow, "trigger_type": "manual"}, "run")["id"]
    new_run = {"workflow": workflow, "trigger_type": "event"}
    line = {"level": "info", "message": "one effect"}
    for number in range(CUTS):
        for path, body in (("/api/v1/executions/", new_run), (f"/api/v1/executions/{run}/logs/", line)):
            key = f"{path} {number}"
            request = caller.request(path, body, key)
            caller.cut(request, *points(request, chance))
            caller.post(path, body, key)
    assert len(caller.get("/api/v1/executions/?page_size=500")["results"]) == 1 + CUTS
    assert len(caller.get(f"/api/v1/executions/{run}/logs/?page_size=500")["results"]) == CUTS
