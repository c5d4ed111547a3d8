"""Detect runs cancelled or retried in the ledger; poll idle runs by resending their start, which changes nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice, takewhile
from threading import RLock
from typing import Protocol
from weakref import WeakSet

from .bounded_dict import remember
from .encoding import Fact, Identified, encode_transition
from .transport import Notice

ENDS = {"complete", "fail", "cancel", "skip"}
MOST_FAILED = 100  # the newest failed runs, which are watched
MOST_POLLED = 2_000  # runs, and nodes, of one call: the ledger takes 10,000 facts
MOST_ATTACHED = 10_000


class Watched(Identified, Protocol):
    """A run of the engine."""

    attempt: int
    is_cancelled: bool

    def mark_cancelled(self) -> None: ...


class WatchedNode(Identified, Protocol):
    """A running node of the engine. `watched_at` is when its state was last read from the ledger."""

    attempt: int
    watched_at: float

    @property
    def run_token(self) -> str | None: ...

    @property
    def run(self) -> Watched: ...

    def mark_cancelled(self) -> None: ...


@dataclass
class Entry:
    run: Watched
    last: float = field(default_factory=time.monotonic)


class RunWatch:
    """The watched runs and nodes. The sending thread owns it, and sees facts in the order of the engine's calls.
    `on_retry` is called with the id of the run and the number of its new attempt."""

    def __init__(self, seconds: float, on_retry: Callable[[str, int], object] | None) -> None:
        self.seconds = seconds
        self.on_retry = on_retry
        self.lock = RLock()
        self.entries: dict[str, Entry] = {}  # the run that was polled longest ago is first
        self.failed: dict[str, None] = {}
        self.nodes: dict[str, WatchedNode] = {}
        # Runs by their ids that this process has not started. Several objects may be the same run.
        self.attached: dict[str, WeakSet[Watched] | None] = {}

    def note_fact(self, kind: str, run: Watched, node: WatchedNode | None) -> None:
        """Watch or forget a run or node, by the kind of a fact that the engine has reported."""
        noun, _dot, act = kind.partition(".")
        if node is not None and noun == "node":
            if act == "start":
                self.begin_node(node)
            elif act in ENDS:
                self.forget_node(node.id)
        elif kind == "execution.start":
            self.begin(run)
        elif kind == "attach":
            self.attach(run)
        elif kind == "unwatch" or (noun == "execution" and act in ENDS):
            self.end(run, failed=act == "fail")

    def begin_node(self, node: WatchedNode) -> None:
        node.watched_at = time.monotonic()
        self.nodes[node.id] = node

    def forget_node(self, node: str) -> None:
        self.nodes.pop(node, None)

    def attach(self, run: Watched) -> None:
        objects = self.attached.get(run.id)
        if objects is None:
            objects = WeakSet()
            remember(self.attached, run.id, objects, most=MOST_ATTACHED)
        objects.add(run)

    def begin(self, run: Watched) -> None:
        with self.lock:
            self.entries[run.id] = Entry(run)

    def end(self, run: Watched, *, failed: bool) -> None:
        """Stop watching a run; a failed one is still watched if there is `on_retry`."""
        with self.lock:
            entry = self.forget(run.id)
            if entry is None or not failed or self.on_retry is None:
                return
            self.entries[run.id] = Entry(entry.run)
            self.failed[run.id] = None
            if len(self.failed) > MOST_FAILED:
                self.forget(next(iter(self.failed)))

    def forget(self, run: str) -> Entry | None:
        """Stop watching a run and its nodes. Return the entry of the run."""
        for node in [each.id for each in list(self.nodes.values()) if each.run.id == run]:
            self.forget_node(node)
        self.attached.pop(run, None)
        with self.lock:
            self.failed.pop(run, None)
            return self.entries.pop(run, None)

    def note_answered(self, runs: set[str]) -> None:
        """Note that the ledger has just answered about these runs."""
        with self.lock:
            for run in runs & self.entries.keys():
                self._put_last(run)

    def _put_last(self, run: str) -> None:
        entry = self.entries.pop(run)
        entry.last = time.monotonic()
        self.entries[run] = entry

    def due(self) -> list[Fact]:
        """Return the starts to send again, for idle runs and for running nodes, of which lines bring no notices. If
        they are too many, return those that were polled longest ago."""
        now = time.monotonic()
        before = now - self.seconds
        now_ns = time.time_ns()
        starts = [
            encode_transition("execution.start", run, None, {"attempt": run.attempt}, now_ns)
            for run in self._idle_runs(before)
        ]
        return starts + self._starts_of_nodes(before, now, now_ns)

    def _idle_runs(self, before: float) -> list[Watched]:
        with self.lock:
            first = islice(self.entries.values(), MOST_POLLED)
            idle = [entry.run for entry in takewhile(lambda entry: entry.last < before, first)]
            for run in idle:
                self._put_last(run.id)
            return idle

    def _starts_of_nodes(self, before: float, now: float, now_ns: int) -> list[Fact]:
        found = [node for node in list(self.nodes.values()) if node.watched_at < before][:MOST_POLLED]
        for node in found:
            node.watched_at = now
            self.nodes[node.id] = self.nodes.pop(node.id, node)  # moved to the end, behind nodes that were not polled
        return [
            encode_transition(
                "node.start", node.run, node, {"attempt": node.attempt, "run_token": node.run_token}, now_ns
            )
            for node in found
        ]

    def notice(self, notice: Notice) -> bool:
        """Pass a notice on to the engine, once. Return whether the run was cancelled in the ledger."""
        if notice.act == "cancel_node":
            if (node := self.nodes.pop(notice.node, None)) is not None:
                node.mark_cancelled()
            return False
        if notice.act == "cancel":
            return self._cancel_objects(notice.run)
        if notice.act == "end":
            self._note_end(notice)
            return False
        with self.lock:
            entry = self.entries.pop(notice.run, None)
        if entry is None:
            return False
        if notice.attempt <= entry.run.attempt:
            with self.lock:
                self.entries.setdefault(notice.run, entry)
        elif self.on_retry is not None:
            self.on_retry(notice.run, notice.attempt)
        return False

    def _note_end(self, notice: Notice) -> None:
        """Stop watching a run that another process has ended."""
        entry = self.entries.get(notice.run)
        if entry is not None and notice.run not in self.failed:
            self.end(entry.run, failed=notice.status == "failed")

    def _cancel_objects(self, id: str) -> bool:
        """Mark each object of a run as cancelled, once. Return whether there is one."""
        runs = [node.run for node in list(self.nodes.values()) if node.run.id == id]
        runs += self.attached.pop(id, None) or ()
        if (entry := self.forget(id)) is not None:
            runs.append(entry.run)
        uncancelled = [run for run in dict.fromkeys(runs) if not run.is_cancelled]
        for run in uncancelled:
            run.mark_cancelled()
        return bool(uncancelled)
