"""End the runs that Celery executes. Celery has no event for the end of a chain, a group or a chord. So some seconds
after the end of a task, the nodes of its run are read from the ledger, and the run is ended if all of them have
ended."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from threading import Event, Lock
from typing import Any

from .bounded_dict import remember
from .client import Client

# Between the last end of a task and the end of its run. Other processes may not have delivered their part of the run
# yet: what arrives after the end of a run is refused.
QUIET_SECONDS, SHARED_QUIET_SECONDS = 2.0, 10.0
AGAIN_SECONDS = 1.0
FIRST_WATCH, LONGEST_WATCH = 15.0, 600.0  # seconds between the checks of a worker's main process
MOST_WATCHED = 10_000
ACTIVE = {"pending", "running"}
FIELDS = "status,node_name,error_message,ended_at"


class RunEnds:
    """Checks of runs, in the sending thread."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.begin()

    def begin(self) -> None:
        """Reset the state in a forked process, which has no timers of its parent; the copied lock may never be
        released."""
        self.due: dict[str, float] = {}
        self.watched: dict[str, None] = {}
        self.shared: dict[str, None] = {}
        self.lock = Lock()

    def share(self, run: str) -> None:
        """Note that other processes execute tasks of the run too."""
        remember(self.shared, run, most=MOST_WATCHED)

    def expect(self, run: str) -> None:
        """Check the run after a quiet time, which each end of a task starts again."""
        seconds = SHARED_QUIET_SECONDS if run in self.shared else QUIET_SECONDS
        with self.lock:
            is_new = run not in self.due
            self.due[run] = time.monotonic() + seconds
        if is_new:
            self.client.call_later(seconds, partial(self._check, run))

    def _check(self, run: str, http: object) -> None:
        with self.lock:
            if (when := self.due.get(run)) is None:
                return
        if (rest := when - time.monotonic()) > 0 or not self.client.is_delivered():
            self.client.call_later(max(rest, AGAIN_SECONDS), partial(self._check, run))
            return
        try:
            self.end_if_quiet(run, http)
        except Exception:
            self.client.call_later(AGAIN_SECONDS, partial(self._check, run))
            raise
        with self.lock:
            self.due.pop(run, None)

    def check_now(self, seconds: float) -> None:
        """Check every expected run now, at the end of the process. Wait at most `seconds`."""
        with self.lock:
            waiting, self.due = list(self.due), {}
        checked = Event()
        for run in waiting:
            self.client.call_later(0, partial(self.end_if_quiet, run))
        self.client.call_later(0, lambda _http: checked.set())
        checked.wait(seconds if waiting else 0)

    def watch(self, run: str) -> None:
        """Check the run from time to time until it has ended, as the process that should check it may be killed."""
        with self.lock:
            if run in self.watched or len(self.watched) >= MOST_WATCHED:
                return
            self.watched[run] = None
        self.client.call_later(FIRST_WATCH, partial(self._look, run, FIRST_WATCH))

    def _look(self, run: str, seconds: float, http: object) -> None:
        has_ended = False
        try:
            has_ended = self.end_if_quiet(run, http)
        finally:
            if has_ended:
                self.watched.pop(run, None)
            else:
                again = min(2 * seconds, LONGEST_WATCH)
                self.client.call_later(again, partial(self._look, run, again))

    def end_if_quiet(self, run: str, http: Any) -> bool:
        """End the run if all its nodes have ended. Return whether it has ended. Raises httpx.HTTPError."""
        found = http.get(f"/executions/{run}/", params={"fields": "status,attempt"}).raise_for_status().json()
        if found["status"] not in ACTIVE:
            return True
        nodes = list(nodes_of(run, http))
        if not nodes or {node["status"] for node in nodes} & ACTIVE:
            return False
        self.client.report([end_of(run, found["attempt"], nodes)])
        return True


def end_of(run: str, attempt: int, nodes: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fact that ends the run, at the time at which its last node ended."""
    fact = {"id": run, "attempt": attempt, "at": max(node["ended_at"] for node in nodes)}
    if failed := next((node for node in nodes if node["status"] == "failed"), None):
        error = f"{failed['node_name']}: {failed['error_message']}"
        return fact | {"kind": "execution.fail", "error_message": error}
    if any(node["status"] == "cancelled" for node in nodes):
        return fact | {"kind": "execution.cancel", "reason": "A task was revoked or expired."}
    return fact | {"kind": "execution.complete"}


def nodes_of(run: str, http: Any) -> Iterator[Mapping[str, Any]]:
    """Yield FIELDS of the run's nodes, page by page."""
    address: str | None = f"/executions/{run}/nodes/"
    params: dict[str, Any] = {"fields": FIELDS, "page_size": 500}
    while address:
        page = http.get(address, params=params).raise_for_status().json()
        yield from page["results"]
        address, params = page["next"], {}
