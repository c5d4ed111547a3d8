"""Leases of the attempts that this process executes: which heartbeats are due, and which attempts the ledger has given
to other workers. A lease is held from the delivery of its start to the delivery of its end."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet

from .bounded_dict import remember
from .encoding import Fact, Identified, encode_transition

IN_A_LEASE = 3  # heartbeats within the time of a lease
AGAIN, IN_A_LEASE_AGAIN = 5.0, 9  # a lost heartbeat is sent again after these seconds, or this part of the lease
ACTS = {"start", "complete", "fail", "heartbeat"}  # verbs with the token of a lease
MAX_SECONDS = 86_400  # the limit of the ledger
MOST_FENCED = MOST_ATTACHED = 10_000


class Leased(Identified, Protocol):
    """A run or a node of the engine."""

    lease_seconds: int
    attempt: int
    token: str | None
    has_ended: bool
    is_fenced: bool

    def mark_fenced(self) -> None: ...


@dataclass(slots=True)
class Lease:
    """`due` is the time of the next heartbeat."""

    run: Leased
    node: Leased | None
    token: str
    seconds: int
    due: float = 0.0


class Leases:
    """Leases by their tokens. Used in the sending thread only, except forget()."""

    def __init__(self) -> None:
        self.begun: dict[str, Lease] = {}  # leases whose start is not delivered
        self.held: dict[str, Lease] = {}
        # Runs by their tokens that this process reports facts of. Several objects may be the same run.
        self.attached: dict[str, WeakSet[Leased] | None] = {}
        self.fenced: dict[str, None] = {}

    def begin(self, run: Leased, node: Leased | None) -> None:
        """Note a start, perhaps with a lease."""
        of = node or run
        if of.token is not None and of.lease_seconds:
            self.begun[of.token] = Lease(run, node, of.token, of.lease_seconds)

    def attach(self, run: Leased) -> None:
        """Note a run with a token, whose lease another process may hold. If the token is fenced, fence the run."""
        if not run.token:
            return
        there = self.attached.get(run.token)
        if there is None:
            there = WeakSet()
            remember(self.attached, run.token, there, most=MOST_ATTACHED)
        there.add(run)
        if run.token in self.fenced:
            self._fence_attached(run.token)

    def is_own(self, token: str) -> bool:
        """Return whether this process executes the attempt with this token."""
        return token in self.begun or token in self.held or token in self.attached

    def attempt_of_run(self, token: str) -> int | None:
        """Return the attempt of the run to which the token belongs, itself or as the lease of a node; None for an
        unknown token."""
        lease = self.held.get(token) or self.begun.get(token)
        if lease is not None:
            return lease.run.attempt
        return next((run.attempt for run in self._attached_runs(token)), None)

    def _attached_runs(self, token: str) -> list[Leased]:
        return list(self.attached.get(token) or ())

    def _fence_attached(self, token: str) -> None:
        for run in self._attached_runs(token):
            if not run.has_ended and not run.is_fenced:
                run.mark_fenced()

    def note_delivered(self, facts: Iterable[Fact]) -> None:
        """Hold the leases whose start is delivered, and release those whose end is delivered."""
        for fact in facts:
            act = act_of_lease(fact)
            if act == "start" and (lease := self.begun.pop(fact.token, None)) is not None:
                lease.due = time.monotonic() + lease.seconds / IN_A_LEASE
                self.held[fact.token] = lease
            elif act in {"complete", "fail"}:
                self.release(fact)

    def release(self, fact: Fact) -> None:
        """Forget the lease of a start, an end or a heartbeat."""
        if act_of_lease(fact):
            self.forget(fact.token)

    def forget(self, token: str) -> None:
        """Release the lease, if there is one. Any thread may call it."""
        self.begun.pop(token, None)
        self.held.pop(token, None)

    def fence(self, token: str) -> None:
        """Forget the lease of an attempt that another worker has, for a run with the leases of its nodes, and mark the
        objects."""
        remember(self.fenced, token, most=MOST_FENCED)
        lease = self.held.pop(token, None) or self.begun.pop(token, None)
        if lease is not None:
            (lease.node or lease.run).mark_fenced()
        self._fence_attached(token)
        if lease is not None and lease.node is None:
            nodes = [*self.held.values(), *self.begun.values()]
            for of_node in [each for each in nodes if each.run.id == lease.run.id]:
                self.fence(of_node.token)

    def heartbeats(self) -> list[Fact]:
        """Return the heartbeats that are due. Runs come first: if a run is fenced, so are its nodes."""
        now, ns = time.monotonic(), time.time_ns()
        due = [lease for lease in list(self.held.values()) if lease.due <= now]
        for lease in due:
            lease.due = now + lease.seconds / IN_A_LEASE
        return [
            encode_transition(
                "node.heartbeat" if lease.node else "execution.heartbeat", lease.run, lease.node,
                {"token": lease.token}, ns,
            )
            for lease in sorted(due, key=lambda lease: lease.node is not None)
        ]  # fmt: skip

    def note_missed(self, heartbeats: Iterable[Fact]) -> None:
        """Make heartbeats that did not arrive due again soon."""
        for heartbeat in heartbeats:
            if (lease := self.held.get(heartbeat.token)) is not None:
                lease.due = time.monotonic() + min(AGAIN, lease.seconds / IN_A_LEASE_AGAIN)

    def seconds_to_next(self, most: float) -> float:
        """Return the seconds until a heartbeat is due, at most `most`."""
        now = time.monotonic()
        return min([most, *(lease.due - now for lease in list(self.held.values()))])


def act_of_lease(fact: Fact) -> str:
    """Return the verb of a fact that has the token of its own attempt, "" for others."""
    act = fact.kind.rpartition(".")[2]
    return act if fact.token and not fact.is_of_run and act in ACTS else ""


def checked_seconds(seconds: int) -> int:
    """Check the seconds of a lease; 0 is no lease. Raises ValueError."""
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"lease_seconds: expected 1 to {MAX_SECONDS}, or 0 for no lease.")
    return int(seconds)
