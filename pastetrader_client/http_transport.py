"""Transport over HTTP."""

import gzip
import logging
import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate, parsedate_to_datetime
from threading import Lock
from typing import Any
from uuid import UUID

import httpx

from .transport import (
    Answer,
    Contended,
    Failed,
    NoLedger,
    Notice,
    Refusal,
    Stopped,
    TooLarge,
    Unavailable,
    is_of_own_request,
    own_request,
)

TIMEOUT = httpx.Timeout(30, connect=5)
LONGEST_WAIT = 3600.0  # seconds; a longer Retry-After is cut
COMPRESSED_FROM = 4_000  # bytes of a body
FAST = 1  # gzip level: lines shrink to a tenth, in a tenth of the time of the default level
TRIES = 3  # tries to define a workflow that others change too, before all is sent again later
API = "/api/v1"

logger = logging.getLogger("pastetrader_client")


def _is_of_engine(record: logging.LogRecord) -> bool:
    """Return whether a log record of httpx is about a request of the engine itself. httpx logs each request at INFO."""
    return record.levelno > logging.INFO or not is_of_own_request(record)


logging.getLogger("httpx").addFilter(_is_of_engine)


class HttpTransport:
    """`url` is the address of the server or of its API; `transport` replaces the network, for tests."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        base = url.rstrip("/")
        self.base = base if base.endswith(API) else base + API
        self.headers = {"Authorization": f"Token {token}", "User-Agent": "pastetrader-client"}
        self.transport = transport
        self._http: httpx.Client | None = None
        self._lock = Lock()

    def send(self, bodies: Sequence[bytes]) -> Answer:
        body = b"[" + b",".join(bodies) + b"]"
        # The ledger corrects the times of facts by this time if the clock of this machine is wrong.
        headers = {"Content-Type": "application/json", "Date": formatdate(usegmt=True)}
        if len(body) >= COMPRESSED_FROM:
            body, headers["Content-Encoding"] = gzip.compress(body, FAST), "gzip"
        response = self._call("POST", "/events/", content=body, headers=headers)
        if response.status_code in {400, 413, 422}:
            raise TooLarge(detail_of(response))
        if response.status_code != 200:
            raise _unavailable(response, self.base)
        found = _document(response)
        return Answer(
            [Refusal(each["index"], each["code"], each["detail"], each["current_state"]) for each in found["refusals"]],
            [
                Notice(
                    each["workflow_execution"], each["act"], each["attempt"], each.get("node_execution", ""),
                    each.get("status", ""),
                )
                for each in found["notices"]
            ],
            found["applied"], found["known"],
        )  # fmt: skip

    def define(self, workflow: str | None, run: str, nodes: Sequence[Mapping[str, object]]) -> bool:
        name = None if workflow is None or _is_id(workflow) else workflow
        for _try in range(TRIES):
            found = self._find_workflow(workflow, run)
            if found.status_code not in {200, 201}:
                return self._cannot_define(found)
            there = _document(found)
            known = {node["name"] for node in there["nodes"]} | {node["id"] for node in there["nodes"]}
            missing = [node for node in nodes if node["name"] not in known]
            if not missing:
                return True
            changed = self._add_nodes(name, there, missing)
            if changed.status_code in {200, 201}:
                return True
            if changed.status_code not in {409, 412}:
                return self._cannot_define(changed)
        raise Contended(f"others change the workflow {there['name']} at the same time")

    def _add_nodes(
        self, name: str | None, there: Mapping[str, Any], missing: Sequence[Mapping[str, object]]
    ) -> httpx.Response:
        """Add the nodes by the name of the workflow, without conflicts, else by its id: the run of another process may
        belong to a workflow of another user, and a ledger of an earlier version has no `only_add`."""
        if name is not None:
            wish = {"name": name, "nodes": missing, "only_add": True}
            added = self._call("POST", "/workflows/ensure/", json=wish)
            if added.status_code != 400:
                return added
        wish = {"version": there["version"], "nodes": [*there["nodes"], *missing]}
        return self._call("PATCH", f"/workflows/{there['id']}/", json=wish)

    def _find_workflow(self, workflow: str | None, run: str) -> httpx.Response:
        if workflow is None:
            found = self._call("GET", f"/executions/{run}/", params={"fields": "workflow"})
            if found.status_code != 200:
                return found
            workflow = str(_document(found)["workflow"])
        if _is_id(workflow):
            return self._call("GET", f"/workflows/{UUID(workflow)}/")
        return self._call("POST", "/workflows/ensure/", json={"name": workflow})

    def _cannot_define(self, response: httpx.Response) -> bool:
        if response.status_code == 429 or response.status_code >= 500:
            raise _unavailable(response, self.base)
        logger.error("the ledger does not let this token add nodes to the workflow: %s", detail_of(response))
        return False

    def read_run(self, run: str) -> Mapping[str, Any]:
        found = self._call("GET", f"/executions/{run}/", params={"expand": "nodes"})
        if found.status_code == 404:
            raise LookupError(f"There is no run {run}, or none that this token may see.")
        if found.status_code != 200:
            raise _unavailable(found, self.base)
        row = _document(found)
        nodes = [
            {"id": node["id"], "name": node["node_name"], "status": node["status"], "attempt": node["attempt"]}
            for node in row["nodes"]
        ]
        return {"attempt": row["attempt"], "workflow": row["workflow_name"], "nodes": nodes}

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            with own_request():
                response = self.http.request(method, path, **more)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None
        if response.status_code == 401 or (response.status_code == 403 and path == "/events/"):
            raise Stopped(f"the ledger refused the token ({response.status_code}): {detail_of(response)}")
        return response

    @property
    def http(self) -> httpx.Client:
        """Return the client of this process, created on first use, as its TLS context takes milliseconds. A thread that
        is ending may still be here when the next one starts."""
        with self._lock:
            if self._http is None:
                self._http = httpx.Client(
                    base_url=self.base, headers=self.headers, timeout=TIMEOUT, transport=self.transport
                )
            return self._http

    def close(self) -> None:
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def forget_connections(self) -> None:
        self._http, self._lock = None, Lock()


def _is_id(text: object) -> bool:
    """Return whether the ledger reads the text as an id, not as a name."""
    try:
        return isinstance(text, str) and bool(UUID(text))
    except ValueError:
        return False


def _document(response: httpx.Response) -> Any:
    """Return the JSON of a response. Raises Unavailable if it is not JSON, such as the page of a proxy."""
    try:
        return response.json()
    except ValueError:
        raise NoLedger(f"{response.url} answered no JSON: is it the address of the ledger?") from None


def _unavailable(response: httpx.Response, base: str) -> Unavailable:
    status = response.status_code
    if 300 <= status < 500 and status != 429:
        where = f"is {base} the address of the ledger, and does a proxy pass on what is sent?"
        return NoLedger(f"answer {status}: {where}", _retry_after(response.headers.get("Retry-After", "")))
    of_kind = Failed if status == 500 else Unavailable
    return of_kind(f"answer {status}", _retry_after(response.headers.get("Retry-After", "")))


def _retry_after(value: str) -> float | None:
    """Return the seconds of a Retry-After, which is a number or a date."""
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def detail_of(response: httpx.Response) -> str:
    """Return the message of an error response, in a sentence."""
    try:
        found = response.json()
        return str(found.get("detail", found))[:500]
    except (ValueError, AttributeError):
        return f"answer {response.status_code}"
