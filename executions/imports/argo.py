"""An Argo Workflow object (`kubectl get workflow NAME -o json`) as facts.

Nodes that contain other nodes (DAG, Steps, StepGroup, TaskGroup) are not tasks: edges lead through them. A Retry node
and its attempts are one node execution with attempts. If phases conflict, the ended one is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .conversion import (
    Document,
    Fact,
    NotImportable,
    derive,
    get,
    line,
    node_fact,
    node_name,
    parse_optional_moment,
    run_fact,
    same_or_derived,
    workflow,
)

CONTAINERS = frozenset({"DAG", "Steps", "StepGroup", "TaskGroup"})
ACTS = {"Succeeded": "complete", "Failed": "fail", "Error": "fail", "Skipped": "skip", "Omitted": "skip"}
PENDING = frozenset({"", "Pending"})
TEMPLATE_LABELS = ("workflows.argoproj.io/workflow-template", "workflows.argoproj.io/cron-workflow")
NO_END = "Argo reported the end of the run, but not of this node."


@dataclass(slots=True)
class Step:
    """A node of the status."""

    key: str
    name: str
    type: str
    phase: str
    started_at: datetime | None
    ended_at: datetime | None
    message: str
    children: list[str]
    template: str
    attempts: list["Step"] = field(default_factory=list)

    @property
    def is_task(self) -> bool:
        return self.type not in CONTAINERS


def facts(document: Document) -> Iterator[Fact]:
    """Yield the facts of one run. Raises NotImportable."""
    name = get(document, "metadata", "name", of=str)
    created = get(document, "metadata", "creationTimestamp", of=str, default=None)
    started_at = parse_optional_moment(get(document, "status", "startedAt", of=str, default=None), "status.startedAt")
    created_at = parse_optional_moment(created, "metadata.creationTimestamp") or started_at
    steps = _steps(document, name)
    created_at = created_at or min((step.started_at for step in steps.values() if step.started_at), default=None)
    if created_at is None:
        raise NotImportable("status.startedAt: it is missing, and so is metadata.creationTimestamp: when was this run?")
    uid = get(document, "metadata", "uid", of=str, default=None)
    namespace = get(document, "metadata", "namespace", of=str, default="")
    run = same_or_derived(uid, created_at, "argo") if uid else derive(created_at, "argo", namespace, name, created_at)
    tasks, owners = _merge_attempts(steps)
    title = _title(document, name)
    yield workflow(title, "Imported from Argo.", [_node(task) for task in tasks], _edges(tasks, steps, owners))
    metadata = {"source": "argo", "name": name, "namespace": namespace, "uid": uid, "allow_concurrent": True}
    kind = "schedule" if TEMPLATE_LABELS[1] in get(document, "metadata", "labels", default={}) else "manual"
    parameters = get(document, "spec", "arguments", default={})
    yield run_fact(
        "create", run, created_at, workflow=node_name(title), trigger_type=kind, input_data=parameters,
        metadata=metadata,
    )  # fmt: skip
    yield from _of_run(document, run, tasks, started_at or created_at)


def _of_run(document: Document, run: str, tasks: list[Step], started_at: datetime) -> Iterator[Fact]:
    phase = _phase_of_run(document, tasks)
    for task in tasks:
        yield node_fact("create", run, _id(run, task, started_at), task.started_at or started_at, node=task.name)
    if phase in PENDING:
        return
    yield run_fact("start", run, started_at, attempt=1)
    for task in tasks:
        yield from _of_task(run, task, started_at, has_ended=phase in ACTS)
    end = parse_optional_moment(get(document, "status", "finishedAt", of=str, default=None), "status.finishedAt")
    if phase not in ACTS:
        return
    ended_at = max([end or started_at, *(task.ended_at for task in tasks if task.ended_at)])
    message = get(document, "status", "message", of=str, default="")
    error = {"error_message": message} if ACTS[phase] == "fail" else {}
    yield run_fact(ACTS[phase], run, max(ended_at, started_at), attempt=1, **error)


def _phase_of_run(document: Document, tasks: list[Step]) -> str:
    """Return the phase; an unknown or missing one counts as Running."""
    phase: str = get(document, "status", "phase", of=str, default="")
    has_begun = any(task.started_at for task in tasks)
    return phase if phase in ACTS or (phase in PENDING and not has_begun) else "Running"


def _of_task(run: str, task: Step, started_at: datetime, *, has_ended: bool) -> Iterator[Fact]:
    """Yield the facts of one task, attempt by attempt."""
    node = _id(run, task, started_at)
    tries = task.attempts or [task]
    for number, each in enumerate(tries, 1):
        is_last = number == len(tries)
        begins, act = each.started_at or started_at, ACTS.get(each.phase, "")
        ends = max(each.ended_at or begins, begins)
        if act == "skip" and is_last and number == 1:
            yield node_fact("skip", run, node, ends, attempt=number)
        elif each.phase not in PENDING:
            yield node_fact("start", run, node, begins, attempt=number)
            if not is_last or act == "fail":
                yield node_fact("fail", run, node, ends, attempt=number, error_message=each.message)
            elif act:
                yield node_fact("complete", run, node, ends, attempt=number)
        if not is_last or (each is not task and task.phase == "Running" and act == "fail"):
            yield node_fact("retry", run, node, ends, attempt=number)
        if each.message:
            level = "error" if act == "fail" else "info"
            yield line(run, node, ends, level, each.message, {"phase": each.phase, "id": each.key}, each.key)
        if is_last and has_ended and not act and each.phase not in PENDING:
            yield node_fact("cancel", run, node, begins, attempt=number, reason=NO_END)


def _steps(document: Document, workflow_name: str) -> dict[str, Step]:
    found = get(document, "status", "nodes", default={})
    return {key: _step(document, key, workflow_name) for key in found}


def _step(document: Document, key: str, workflow_name: str) -> Step:
    node = get(document, "status", "nodes", key)
    place = f"status.nodes.{key}"
    full = str(node.get("name") or node.get("displayName") or key)
    short = full.removeprefix(workflow_name).lstrip(".") or str(node.get("displayName") or full)
    return Step(
        key, node_name(short), str(node.get("type") or ""), str(node.get("phase") or ""),
        parse_optional_moment(node.get("startedAt"), f"{place}.startedAt"),
        parse_optional_moment(node.get("finishedAt"), f"{place}.finishedAt"),
        str(node.get("message") or ""), get(document, "status", "nodes", key, "children", of=list, default=[]),
        str(node.get("templateName") or ""),
    )  # fmt: skip


def _merge_attempts(steps: Mapping[str, Step]) -> tuple[list[Step], dict[str, str]]:
    """Return the tasks, and for each attempt the key of its Retry node."""
    owners: dict[str, str] = {}
    for step in steps.values():
        if step.type == "Retry":
            tries = [steps[key] for key in step.children if key in steps and steps[key].is_task]
            step.attempts = sorted(
                (each for each in tries if each.name.startswith(f"{step.name}(")), key=lambda each: _number(each.name)
            )
            owners |= {each.key: step.key for each in step.attempts}
    tasks = [step for key, step in steps.items() if step.is_task and key not in owners]
    _make_unique(tasks)
    return sorted(tasks, key=lambda task: (task.started_at is None, str(task.started_at), task.key)), owners


def _number(name: str) -> tuple[int, str]:
    number = name.rpartition("(")[2].rstrip(")")
    return (int(number) if number.isdecimal() else 0, name)


def _make_unique(tasks: list[Step]) -> None:
    """Append its key to the name of each task whose name an earlier task has."""
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen:
            task.name = node_name(f"{task.name} {task.key}")
        seen.add(task.name)


def _edges(tasks: list[Step], steps: Mapping[str, Step], owners: Mapping[str, str]) -> list[tuple[str, str]]:
    names = {task.key: task.name for task in tasks}
    return [
        (task.name, names[key])
        for task in tasks
        for key in _next_tasks(task, steps, owners)
        if key != task.key
    ]  # fmt: skip


def _next_tasks(task: Step, steps: Mapping[str, Step], owners: Mapping[str, str]) -> list[str]:
    """Return the keys of the next tasks, past containers. Children that the file lacks are left out."""
    waiting = [*task.children, *(key for each in task.attempts for key in each.children)]
    seen: set[str] = set()
    found: dict[str, None] = {}
    while waiting:
        key = waiting.pop()
        if key in seen or key not in steps:
            continue
        seen.add(key)
        if steps[key].is_task:
            found[owners.get(key, key)] = None
        else:
            waiting.extend(steps[key].children)
    return sorted(found)


def _node(task: Step) -> Fact:
    retries = {"retry_config": {"max_retries": max(len(task.attempts), 3)}} if task.attempts else {}
    return {"name": task.name, "node_type": "tool", "config": {"type": task.type, "template": task.template}, **retries}


def _title(document: Document, name: str) -> str:
    """Return the name that the runs of a template share: its own name, or the prefix of generated names."""
    labels = get(document, "metadata", "labels", default={})
    given = next((labels[label] for label in TEMPLATE_LABELS if isinstance(labels.get(label), str)), "")
    generated: str = get(document, "metadata", "generateName", of=str, default="")
    return given or generated.rstrip("-") or name


def _id(run: str, task: Step, started_at: datetime) -> str:
    return derive(started_at, run, "node", task.key)
