"""Plan the changes of a run: apply its facts to rows in memory, by the table of states. A refused fact raises, and the
plan of its run is dropped."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from executions import refusal_reasons, text_limits
from executions.dropped_log_lines import DroppedLine
from executions.exceptions import InvalidTransition, SecretsUnknown, StaleExecution
from executions.secrets import run_secrets
from executions.secrets.scrubber import MASK
from executions.states import ACTIVE, SETTLED, TARGETS, ExecutionStatus

from . import fact_kinds as kinds
from .attempt_leases import LeaseRow, token_of_report
from .fact_kinds import Reported
from .loaded_data import LoadedData
from .refusals import INACTIVE, NO_NODE, NO_NODE_OF_WORKFLOW, NO_RUN, NO_WORKFLOW, TAKEN, TOO_MANY_ENTRIES, BadFact
from .rows import EndedNode, EndedRun, Entry, NewLine, NodeRow, Row, RunRow
from .workflow_definitions import GraphOfRuns, find_named, names_workflow_of

type States = Collection[ExecutionStatus]

S = ExecutionStatus
MAX_ENTRIES = 100_000  # history entries of one call: a failed run that is retried makes one for each node


@dataclass(slots=True)
class Plan:
    """Changes that the facts of one run make."""

    known: LoadedData
    id: UUID
    run: RunRow | None
    secrets: run_secrets.RunSecrets
    secrets_before: frozenset[str] = frozenset()
    secrets_error: Exception | None = None
    nodes: dict[UUID, NodeRow] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    made: set[tuple[object, ...]] = field(default_factory=set)  # transitions of this call: node, attempt, act, state
    stored: set[tuple[object, ...]] | None = None  # transitions in the history, read on demand
    ended_runs: list[EndedRun] = field(default_factory=list)
    ended_nodes: list[EndedNode] = field(default_factory=list)
    lines: list[NewLine] = field(default_factory=list)
    dropped: list[DroppedLine] = field(default_factory=list)
    late_nodes: list[UUID] = field(default_factory=list)
    leases: list[LeaseRow] = field(default_factory=list)  # granted or extended
    tokens: dict[int, LeaseRow] = field(default_factory=dict)  # by the index of the start
    default_attempts: dict[UUID, int] = field(default_factory=dict)  # attempts of facts that name none
    applied: int = 0
    already_known: int = 0

    # --- creations ----------------------------------------------------------
    def create_run(self, fact: kinds.RunCreate, reported: Reported) -> bool:
        workflow = find_named(self.known.workflows, fact.workflow)
        if self.run is not None:
            if not names_workflow_of(self.run, fact.workflow, workflow):
                raise BadFact("exists_with_other_content", TAKEN)
            self.default_attempts.setdefault(self.id, self.run.attempt if self.run.is_new else 1)
            return False
        if workflow is None:
            raise BadFact("invalid", NO_WORKFLOW)
        if self.id in self.known.taken_runs:
            raise BadFact("exists_with_other_content", TAKEN)
        if not workflow.is_active:
            raise BadFact("invalid", INACTIVE)
        self.run = RunRow(
            id=fact.id, workflow=workflow.id, owner=workflow.owner, graph=workflow.graph, is_new=True,
            trigger_type=fact.trigger_type, created_at=reported.at or self.known.now, output_data=None,
            error_message=None, allow_concurrent=fact.is_concurrent, is_queued=fact.queue,
            log_level=workflow.log_level, **reported.texts,
        )  # fmt: skip
        if fact.queue:
            self.known.turns.follow(self.run)
        self.entries.append(Entry(self.id, None, 1, None, S.PENDING, "create"))
        return True

    def create_node(self, fact: kinds.NodeCreate, reported: Reported) -> bool:
        return self.add_node(fact, reported, among=ACTIVE)

    def add_node(self, fact: kinds.NodeCreate, reported: Reported, among: States = ExecutionStatus) -> bool:
        """Add a node execution to a run in one of these states. Return whether it is new."""
        run = self.the_run
        node = self.known.nodes_of_workflows.find(run.workflow, self.graph_of_run, fact.node)
        if self.known.taken_nodes.get(fact.id, self.id) != self.id:
            raise BadFact("exists_with_other_content", TAKEN)
        if (existing := self.nodes.get(fact.id)) is not None:
            if existing.node != node:
                raise BadFact("exists_with_other_content", TAKEN)
            if not existing.is_new:
                self.default_attempts[fact.id] = 1
            return False
        if node is None:
            raise BadFact("invalid", NO_NODE_OF_WORKFLOW)
        self.check_run_token(fact)
        if run.status not in among:
            raise InvalidTransition("add a node to", run.status)
        texts = {"input_data": reported.texts["input_data"]}
        self.check_secrets("save", run, texts)
        order = self._order_of(fact, node)
        name, retries = self.known.nodes_of_workflows.name_and_retries(run.workflow, node, self.graph_of_run)
        self.known.taken_nodes[fact.id] = self.id  # another run of the call may use the same id
        self.nodes[fact.id] = NodeRow(
            id=fact.id, run=self.id, node=node, node_name=name, retry_config=retries, execution_order=order,
            is_new=True, output_data=None,
            error_message=None, error_traceback=None, created_at=reported.at or self.known.now, **texts,
        )  # fmt: skip
        return True

    def forget_new(self) -> None:
        """Forget the ids of new lines and nodes, because the plan is dropped."""
        for node in self.nodes.values():
            if node.is_new:
                del self.known.taken_nodes[node.id]
        stored = self.known.stored_lines or {}
        for line in self.lines:
            stored.pop(line.id, None)

    # --- transitions --------------------------------------------------------
    def end_run(self, fact: Any, reported: Reported) -> bool:
        run = self.the_run
        if not self.is_new(run, None, fact):
            return False
        pending, running = SETTLED[fact.act]
        still = sum(node.status == S.RUNNING for node in self.nodes_of_run())
        if running is None and still:
            raise InvalidTransition(fact.act, run.status, refusal_reasons.still_running(still), run.version)
        run.ended_at = self._end_of(run, reported)
        self._take_texts(run, reported, fact.act)
        self.move(run, None, TARGETS[fact.act], fact.act, self.reason_of(reported))
        for node in self.nodes_of_run():
            if node.status in ACTIVE:
                to = pending if node.status == S.PENDING else running
                node.ended_at = max(run.ended_at, node.started_at or run.ended_at)
                node.settled = True
                self.move(node, node.id, to or S.RUNNING, fact.act, self.reason_of(reported))
        run.failed_nodes = sum(node.status == S.FAILED for node in self.nodes_of_run())
        self.known.turns.free_slot(run)
        return True

    def end_node(self, fact: Any, reported: Reported) -> bool:
        node = self.node_of(fact)
        if not self._is_new_end(node, fact):
            return False
        node.ended_at = self._end_of(node, reported)
        self._take_texts(node, reported, fact.act)
        self.move(node, node.id, TARGETS[fact.act], fact.act, self.reason_of(reported))
        return True

    def _is_new_end(self, node: NodeRow, fact: Any) -> bool:
        """Return whether the end is new. If another worker has the run, this is the reason of the refusal, not the
        state of the node."""
        try:
            if not self.is_new(node, node.id, fact):
                return False
        except InvalidTransition:
            self.check_run_token(fact)
            raise
        self.check_run_token(fact)
        return True

    # --- parts --------------------------------------------------------------
    @property
    def the_run(self) -> RunRow:
        if self.run is None:
            raise BadFact("not_found", NO_RUN)
        return self.run

    @property
    def graph_of_run(self) -> GraphOfRuns | None:
        graph = self.the_run.graph
        return self.known.graphs.get(graph) if graph else None

    def nodes_of_run(self) -> list[NodeRow]:
        return list(self.nodes.values())

    def node_of(self, fact: Any) -> NodeRow:
        node = self.nodes.get(fact.id)
        if node is None:
            raise BadFact("not_found", NO_NODE)
        return node

    def find_node(self, id: UUID) -> NodeRow | None:
        """Return a node execution of the run, None if there is none. It is perhaps not locked."""
        node = self.nodes.get(id) or self.known.read_nodes.get(id)
        return node if node is not None and node.run == self.id else None

    def _order_of(self, fact: kinds.NodeCreate, node: UUID) -> int:
        """Return the execution order, by default the topological level. A node that was added to the workflow after the
        run was created is late: it is added to the graph of the run."""
        graph = self.graph_of_run
        is_late = graph is None or node not in graph.names
        if is_late:
            self.late_nodes.append(node)
        if fact.execution_order is not None:
            return fact.execution_order
        if graph is not None and not is_late:
            return graph.levels[node]
        today = self.known.read_graphs_of_today().get(self.the_run.workflow)
        return today.levels.get(node, 0) if today else 0

    def is_new(self, row: Row, node: UUID | None, fact: Any) -> bool:
        """Return True if the transition has to be made, False if it was made already. Raises the exceptions of the
        verb."""
        act, to = fact.act, TARGETS[fact.act]
        attempt, token = self.attempt_of(row, fact), token_of_report(fact)
        transitions = row.TRANSITIONS  # type: ignore[attr-defined]  # both subclasses have it
        is_possible = attempt == row.attempt and to in transitions[ExecutionStatus(row.status)]
        made = attempt + (act == "retry")
        if not is_possible and not self.known.leases.has_lapsed(row, token) and self._was_made(row, node, made, act):
            if act == "retry":
                self._set_default_attempts(node, row.id, made)
            return False
        if token is not None:
            self.known.leases.check(act, row, token)
        if not is_possible:
            raise _transition_error(act, row, attempt)
        return True

    def attempt_of(self, row: Row, fact: kinds.RunMove | kinds.NodeMove) -> int:
        """Return the attempt of a transition: the attempt that it names, or that its token belongs to."""
        lease = self.known.leases.of_token(row.id, token_of_report(fact))
        default = lease.attempt if lease else self.default_attempts.get(row.id, row.attempt)
        return fact.attempt or default

    def check_run_token(self, fact: kinds.Fact, act: str = "") -> None:
        """Raise FencedExecution if the fact has the token of an earlier attempt of the run."""
        if (token := getattr(fact, "run_token", None)) is not None:
            self.known.leases.check(act or fact.act, self.the_run, token)

    def _was_made(self, row: Row, node: UUID | None, attempt: int, act: str) -> bool:
        """Return whether this attempt has made the transition. A repeated start of a running row needs no query:
        reporters repeat it often."""
        wanted = (node, attempt, act, str(TARGETS[act]))
        if wanted in self.made or (act, row.status, row.attempt) == ("start", S.RUNNING, attempt):
            return True
        if self.stored is None and not self.the_run.is_new:
            self.stored = set(self.known.read_history().get(self.id, ()))
        return wanted in (self.stored or ())

    def _set_default_attempts(self, node: UUID | None, row: UUID, attempt: int) -> None:
        """Apply later facts without an `attempt` to this attempt. After the retry of a run, do the same for its nodes,
        with their attempts at that time."""
        self.default_attempts[row] = attempt
        if node is not None:
            return
        for of, number, act, _to in self.known.read_history().get(self.id, ()):
            if of is None and (number, act) == (attempt, "retry"):
                return
            if of is not None:
                self.default_attempts[of] = number

    def check_run(self, node: NodeRow, act: str, states: tuple[ExecutionStatus, ...]) -> None:
        state = ExecutionStatus(self.the_run.status)
        if state not in states:
            raise InvalidTransition(act, node.status, refusal_reasons.run_is(state, act), node.version)

    def _end_of(self, row: Row, reported: Reported) -> datetime:
        """Return the time of the end. A time by the server's clock is never before the start, as that clock may have
        been set back. Raises BadFact if the engine's own time is before the start."""
        start, end = row.started_at, reported.at or self.known.now
        if reported.at and start and end < start and not reported.is_corrected:
            raise BadFact("end_before_start", f"at: before its start, which was at {start.isoformat()}.")
        return max(end, start or end)

    def _take_texts(self, row: Any, reported: Reported, act: str) -> None:
        """Copy the texts into the row; None leaves the output unchanged."""
        texts = {name: text for name, text in reported.texts.items() if name != "reason"}
        self.check_secrets(act, row, texts)
        for name, text in texts.items():
            if name != "output_data" or text is not None:
                setattr(row, name, text)

    def check_secrets(self, act: str, row: Row, texts: dict[str, object]) -> None:
        if self.secrets_error is not None and any(texts.values()):
            raise SecretsUnknown(act, row.status, getattr(self.secrets_error, "reason", ""), row.version)

    def reason_of(self, reported: Reported) -> str:
        reason = reported.texts.get("reason") or ""
        return MASK if reason and self.secrets_error is not None else text_limits.cut_to_limits("reason", reason)

    def move(self, row: Row, node: UUID | None, to: ExecutionStatus, act: str, reason: str = "") -> None:
        self.known.entries += 1
        if self.known.entries > MAX_ENTRIES:
            raise BadFact("too_large", TOO_MANY_ENTRIES.format(MAX_ENTRIES))
        self.made.add((node, row.attempt, act, str(to)))
        self.entries.append(Entry(self.id, node, row.attempt, str(row.status), str(to), act, reason))
        row.status = to
        if isinstance(row, RunRow) and row.is_queued:
            self.known.turns.follow(row)
        row.version, row.moves = row.version + 1, row.moves + 1


def _transition_error(act: str, row: Row, attempt: int) -> InvalidTransition:
    if attempt != row.attempt:
        return StaleExecution(act, row.status, refusal_reasons.attempt_replaced(attempt, row.attempt), row.version)
    return InvalidTransition(act, row.status, "", row.version)
