"""The upgrade of docs/operate.md: from the last release to this code, behind nginx, on a stock PostgreSQL."""

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pastetrader.tests import previous_release
from pastetrader.tests.deployed_site import PREFIX, DeployedSite, serving, stopped_site
from pastetrader.tests.live_server import ALL_SCOPES, ROOT
from pastetrader.tests.test_deployment import program

API = f"{PREFIX}/api/v1"
SECRET = "correct-horse-battery"
GRAPH = {"nodes": [{"name": "load", "node_type": "tool"}, {"name": "rank", "node_type": "tool"}]}


class Client(NamedTuple):
    site: DeployedSite
    token: str

    def get(self, path: str) -> Any:
        answer = self.site.ask("GET", f"{API}{path}", Authorization=self.token)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    def post(self, path: str, body: object) -> dict[str, Any]:
        answer = self.site.ask("POST", f"{API}{path}", body, Authorization=self.token)
        assert answer.status in (200, 201), (path, answer.body)
        created: dict[str, Any] = answer.json
        return created


@pytest.fixture
def old_site() -> Iterator[DeployedSite]:
    """Yield a site without a server, with the code of the last release."""
    release = previous_release.commit()
    if release is None:
        pytest.skip("the history of the repository is not here")
    with tempfile.TemporaryDirectory() as folder:
        code = previous_release.unpack(release, Path(folder) / "code")
        with stopped_site(program("nginx"), Path(folder), code) as site:
            yield site


@pytest.mark.slow
def test_a_ledger_is_upgraded_while_the_last_release_serves(old_site: DeployedSite, prepared: Path) -> None:
    site = old_site
    with serving(site, "--superuser"):
        client = Client(site, f"Token {site.manage('create_token', 'admin', *ALL_SCOPES)}")
        workflow = client.post("/workflows/", {"name": "momentum", **GRAPH})
        failed, running = record(client, workflow), record(client, workflow)
        client.post(f"/executions/{failed}/fail/", {"error_message": f"refused {SECRET}"})
        before = {path: client.get(path) for path in addresses(failed, running)}
        site.code = ROOT
        with reporting(client, running) as reported:
            site.manage("migrate")
        assert site.ask("GET", f"{PREFIX}/readyz").status == 200
    (site.folder / "local" / "static").rename(site.folder / "static-of-the-last-release")
    (site.folder / "local" / "static").symlink_to(prepared / "static")
    with serving(site):
        assert site.ask("GET", f"{PREFIX}/readyz").json["status"] == "ready"
        lost = [(path, value) for path, old in before.items() for value in lost_values(old, client.get(path))]
        assert lost == []
        assert messages(client, running) >= set(reported), "a line that the last release acknowledged is not there"
        [node] = [
            node for node in client.get(f"/executions/{running}/nodes/")["results"] if node["status"] == "running"
        ]
        client.post(f"/node-executions/{node['id']}/complete/", {})
        done = client.post(f"/executions/{running}/complete/", {"output_data": {"said": f"it is {SECRET}"}})
        assert done["output_data"] == {"said": "it is ***masked***"}
        assert client.post(f"/executions/{failed}/retry/", {})["status"] == "pending"
        site.manage("check_ledger", "--strict")


def record(client: Client, workflow: dict[str, Any]) -> str:
    """Record a running run with a secret, a node that failed, a node that runs, and lines. Return its id."""
    body = {
        "workflow": workflow["id"],
        "trigger_type": "event",
        "context": {"secrets": {"password": SECRET}},
        "metadata": {"allow_concurrent": True},
    }
    run = client.post("/executions/", body)["id"]
    client.post(f"/executions/{run}/start/", {})
    for node in workflow["nodes"]:
        key = client.post(f"/executions/{run}/nodes/", {"node": node["id"]})["id"]
        client.post(f"/node-executions/{key}/start/", {})
    client.post(f"/node-executions/{key}/fail/", {"error_message": f"no {SECRET}", "error_traceback": "line 1"})
    client.post(f"/executions/{run}/logs/", {"level": "warning", "message": f"login with {SECRET}"})
    return str(run)


def addresses(failed: str, running: str) -> list[str]:
    ended = [f"/executions/{failed}/{each}" for each in ("", "nodes/", "logs/", "history/", "attempts/", "graph/")]
    return [*ended, f"/executions/{running}/", "/workflows/", "/executions/", "/executions/?status=failed"]


@contextmanager
def reporting(client: Client, run: str) -> Iterator[list[str]]:
    """Report lines one after another, as an engine does, until the block is left. Yield the acknowledged messages."""
    reported: list[str] = []
    over = threading.Event()

    def report() -> None:
        while not over.is_set():
            message = f"line {len(reported)}"
            client.post(f"/executions/{run}/logs/", {"level": "info", "message": message})
            reported.append(message)

    with ThreadPoolExecutor(1) as pool:
        reporter = pool.submit(report)
        try:
            yield reported
        finally:
            over.set()
        reporter.result()
    assert reported


def lost_values(old: Any, new: Any) -> list[Any]:
    """Return what an answer of the last release says and the new one does not. New fields are not compared."""
    if isinstance(old, dict):
        return [lost for name in old for lost in lost_values(old[name], new.get(name, "absent"))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [lost for pair in zip(old, new, strict=True) for lost in lost_values(*pair)]
    return [] if old == new else [(old, new)]


def messages(client: Client, run: str) -> set[str]:
    lines: set[str] = set()
    path = f"/executions/{run}/logs/?page_size=500"
    while path:
        page = client.get(path)
        lines |= {line["message"] for line in page["results"]}
        path = (page["next"] or "").partition(API)[2]
    return lines
