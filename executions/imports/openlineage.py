"""Convert OpenLineage RunEvents to facts. The order of the events does not matter.

A run without a parent is a run. Every run below it is a node execution, however deep, except the SQL statements of dbt,
which are lines of the node around them. Each event is a line, too.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from textwrap import dedent
from typing import Any, NamedTuple

from ledgerkit.db.json_validation import to_json
from ledgerkit.db.models import parse_uuid

from .conversion import (
    EPOCH,
    Document,
    Fact,
    NotImportable,
    at,
    get,
    line,
    node_name,
    parse_moment,
    run_fact,
    same_or_derived,
)
from .lineage_documents import (
    AFTER,
    airflow_tasks,
    dataset_names,
    error_of,
    facets_of,
    is_statement,
    job_type,
    parent_facet,
)

STATES = {"START": "running", "RUNNING": "running", "COMPLETE": "completed", "FAIL": "failed", "ABORT": "cancelled"}
LEVELS = {"FAIL": "error", "ABORT": "warning"}
WITHOUT_STATE = frozenset({"OTHER", ""})
TRIGGERS = {"scheduled": "schedule", "manual": "manual", "backfill": "manual"}  # by the `run_type` of Airflow
DEFAULT_TRIGGER = "event"
MAX_FACET = 16_384  # bytes of one facet in the data of a line
MAX_PARTS = 500  # objects and lists in it
MAX_SHOWN = 2_000  # characters of a statement in a line
QUERY_COMMENT = re.compile(r'\A\s*/\* \{"app": "dbt".*?\*/', re.DOTALL)


class Job(NamedTuple):
    run: str
    namespace: str
    name: str


class Event(NamedTuple):
    """A RunEvent. `around` is the node of a SQL statement, which is recorded as a line. `names_root` is False if the
    event names no root, and its parent is used as the root."""

    type: str
    moment: datetime
    job: Job
    root: Job
    names_root: bool
    around: Job | None
    error: str | None
    trace: str | None
    document: Document

    @property
    def node(self) -> Job | None:
        """Return the job that runs as a node, None if the event is about the root itself."""
        if self.around is not None:
            return None if self.around.run == self.root.run else self.around
        return None if self.job.run == self.root.run else self.job

    @property
    def run(self) -> str:
        return run_id(self.root.run)

    @property
    def workflow(self) -> str:
        return node_name(f"{self.root.namespace}/{self.root.name}")


class Definition(NamedTuple):
    """The graph in the events: `nodes` with their datasets, and explicit edges."""

    nodes: dict[str, tuple[set[str], set[str]]]
    edges: set[tuple[str, str]]


def run_id(id: str) -> str:
    """Return the run id itself if it is a UUIDv7, else an id derived from it, with the time EPOCH."""
    return same_or_derived(id, EPOCH, "openlineage")


def node_id(event: Event, node: Job) -> str:
    return same_or_derived(node.run, EPOCH, "openlineage", event.run)


def read(document: Document) -> Event | None:
    """Parse an event. Return None if it is about a job or a dataset alone. Raises NotImportable, which names the
    place."""
    if "run" not in document and ("job" in document or "dataset" in document) and "eventType" not in document:
        return None
    moment = _moment(document)
    get(document, "schemaURL", of=str)
    kind: str = get(document, "eventType", of=str, default="").upper()
    if kind not in STATES and kind not in WITHOUT_STATE:
        raise NotImportable(f"eventType: expected one of {', '.join(STATES)}, OTHER.")
    _check_types(document)
    job = _job(document)
    parent = _parent(document)
    root = _root(document, parent or job)
    is_line = parent is not None and is_statement(document)
    error, trace = (error_of(document, "message"), error_of(document, "stackTrace")) if kind == "FAIL" else (None, None)
    names_root = parent is None or parent_facet(document, "root") is not None
    return Event(kind, moment, job, root, names_root, parent if is_line else None, error, trace, document)


def _check_types(document: Document) -> None:
    for of in ("run", "job"):
        facets_of(document, of)
    for side in ("inputs", "outputs"):
        get(document, side, of=list, default=[])
    airflow_tasks(document)


def facts(events: Iterable[Event]) -> Iterator[Fact]:
    """Yield the facts of events, in the order of their times."""
    for event in sorted(events, key=lambda each: (each.moment, each.type)):
        state = STATES.get(event.type)
        errors = {"error_message": event.error, "error_traceback": event.trace} if state == "failed" else {}
        yield _creation(event)
        is_root, node = event.job.run == event.root.run, event.node
        if node is not None:
            yield _of_node(event, node, None if event.around else _state_of_node(event, state), errors)
        own = {"state": state, **({"error_message": event.error} if state == "failed" else {})}
        yield run_fact("observe", event.run, event.moment, **(own if is_root else {"state": state and "running"}))
        yield line(
            event.run, node and node_id(event, node), event.moment, _level(event), _message(event), _data(event),
            event.job.run, event.type, event.moment,
        )  # fmt: skip


def definition(events: Iterable[Event]) -> Definition:
    """Return the nodes and the explicit edges in the events of one workflow."""
    found = Definition({}, set())
    for event in events:
        if (node := event.node) is not None:
            inputs, outputs = found.nodes.setdefault(title(event, node), (set(), set()))
            if event.around is None:
                inputs |= dataset_names(event.document, "inputs")
                outputs |= dataset_names(event.document, "outputs")
        for name, task in airflow_tasks(event.document).items():
            found.nodes.setdefault(node_name(name), (set(), set()))
            for after in get(task, AFTER, of=list, default=[]):
                found.nodes.setdefault(node_name(str(after)), (set(), set()))
                found.edges.add((node_name(name), node_name(str(after))))
    return found


def title(event: Event, node: Job) -> str:
    """Return the name of a node: its name in dbt, else the name of its job without that of the root as a prefix."""
    own = _name_in_dbt(event.document) if event.around is None else ""
    return node_name(own or node.name.removeprefix(f"{event.root.name}.") or node.name)


def _name_in_dbt(document: Document) -> str:
    """Return the name of the node in the dbt project. One job may run all tests of a model: it has the model's name."""
    name: str = get(document, "job", "facets", "dbt_node", "unique_id", of=str, default="")
    is_of_model = job_type(document) == "TEST" and not name.startswith("test.")
    return f"{name}.tests" if name and is_of_model else name


def _creation(event: Event) -> Fact:
    metadata = {
        "source": "openlineage", "run_id": event.root.run, "namespace": event.root.namespace, "job": event.root.name,
        "allow_concurrent": True,
    }  # fmt: skip
    return run_fact(
        "create", event.run, event.moment, workflow=event.workflow, trigger_type=trigger(event) or DEFAULT_TRIGGER,
        metadata=metadata,
    )  # fmt: skip


def trigger(event: Event) -> str | None:
    """Return how Airflow triggered the run, None if the event does not contain it."""
    facets = facets_of(event.document, "run")
    for name in ("airflowDagRun", "airflow"):
        facet = facets.get(name)
        dag_run = facet.get("dagRun") if isinstance(facet, dict) else None
        if isinstance(dag_run, dict) and "run_type" in dag_run:
            return TRIGGERS.get(str(dag_run["run_type"]), DEFAULT_TRIGGER)
    return None


def _of_node(event: Event, node: Job, state: str | None, errors: dict[str, str | None]) -> Fact:
    return {
        "kind": "node.observe", "id": node_id(event, node), "workflow_execution": event.run,
        "at": at(event.moment), "node": title(event, node), "execution_order": 0, "state": state,
        "input_data": {"run_id": node.run, "job": node.name, "namespace": node.namespace},
        **(errors if state == "failed" else {}),
    }  # fmt: skip


def _state_of_node(event: Event, state: str | None) -> str | None:
    """Return the state of a node. dbt aborts the nodes that it skips."""
    is_dbt = any(name.startswith("dbt_") for name in facets_of(event.document, "run"))
    return "skipped" if event.type == "ABORT" and is_dbt else state


def _moment(document: Document) -> datetime:
    text: str = get(document, "eventTime", of=str)
    moment = parse_moment(text, "eventTime")
    clock = text.partition("T")[2]
    if not clock.endswith(("Z", "z")) and "+" not in clock and "-" not in clock:
        raise NotImportable("eventTime: expected a time with its zone.")
    return moment


def _job(document: Document) -> Job:
    return Job(_id(document, "run", "runId"), *(get(document, "job", key, of=str) for key in ("namespace", "name")))


def _parent(document: Document) -> Job | None:
    place = ("run", "facets", "parent")
    if get(document, *place, default=None) is None:
        return None
    names = (get(document, *place, "job", key, of=str) for key in ("namespace", "name"))
    return Job(_id(document, *place, "run", "runId"), *names)


def _root(document: Document, job: Job) -> Job:
    place = ("run", "facets", "parent", "root")
    if get(document, *place, default=None) is None:
        return job
    names = (get(document, *place, "job", key, of=str) for key in ("namespace", "name"))
    return Job(_id(document, *place, "run", "runId"), *names)


def _id(document: Document, *place: str) -> str:
    found = parse_uuid(get(document, *place, of=str))
    if found is None:
        raise NotImportable(f"{'.'.join(place)}: expected a UUID.")
    return str(found)


def _level(event: Event) -> str:
    return LEVELS.get(event.type, "debug" if event.around else "info")


def _message(event: Event) -> str:
    what = f"{event.type or 'event'} {event.job.name}"
    text = event.error or _statement(event)
    return f"{what}:{'' if text.startswith('\n') else ' '}{text}" if text else what


def _statement(event: Event) -> str:
    """Return the SQL of the event that starts a statement; the data of the line has it unchanged. Blank lines, which
    dbt's templates leave, and the comment that dbt writes before each statement are left out."""
    if event.around is None or event.type != "START":
        return ""
    sql: str = get(event.document, "job", "facets", "sql", "query", of=str, default="")
    lines = [text.rstrip() for text in QUERY_COMMENT.sub("", sql).splitlines() if text.strip()]
    return ("\n" * (len(lines) > 1) + dedent("\n".join(lines)))[:MAX_SHOWN]


def _data(event: Event) -> dict[str, object]:
    """Return the data of the event's line: its facets, except too long ones, and the names of its datasets."""
    data: dict[str, Any] = {"producer": str(event.document.get("producer") or "")}
    for of in ("run", "job"):
        data[of] = {name: _bound_facet(facet) for name, facet in facets_of(event.document, of).items()}
    for side in ("inputs", "outputs"):
        data[side] = sorted(dataset_names(event.document, side))
    return data


def _bound_facet(facet: object) -> Any:
    text = to_json(facet)
    is_kept = len(text) <= MAX_FACET and text.count("{") + text.count("[") <= MAX_PARTS
    return facet if is_kept else {"left_out_bytes": len(text)}
