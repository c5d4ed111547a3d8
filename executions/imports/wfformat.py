"""A WfFormat instance (https://wfcommons.org/format) of schema 1.4 or 1.5 as facts.

It has the runtime of each task, but no start: a task is assumed to begin when the last of its parents has ended.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from typing import Any, NamedTuple

from .conversion import (
    Document,
    Fact,
    NotImportable,
    derive,
    get,
    node_fact,
    node_name,
    parse_moment,
    run_fact,
    workflow,
)

PEGASUS_4 = re.compile(r"\d{8}T\d{6}[+-]\d{4}")
PEGASUS_5 = re.compile(r"\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # month, day, year
DESCRIBED = ("description", "schemaVersion", "author", "runtimeSystem", "wms", "createdAt")
MEASURED = ("avgCPU", "readBytes", "writtenBytes", "memoryInBytes", "energy", "avgPower", "priority", "machines")


class Task(NamedTuple):
    key: str
    parents: frozenset[str]
    runtime: timedelta
    config: dict[str, Any]
    input_data: dict[str, object]
    output_data: dict[str, object]


def facts(document: Document) -> Iterator[Fact]:
    """Yield the facts of one execution. Raises NotImportable."""
    is_new = get(document, "workflow", "specification", default=None) is not None
    tasks, order = _sort(_tasks_of_15(document) if is_new else _tasks_of_14(document))
    section = ("workflow", "execution") if is_new else ("workflow",)
    started_at = _executed_at(get(document, *section, "executedAt", of=str), ".".join((*section, "executedAt")))
    makespan = timedelta(seconds=get(document, *section, "makespanInSeconds", of=(int, float)))
    name = f"{get(document, 'name', of=str)} ({_fingerprint(tasks)})"
    definition = _definition(name, document, tasks, order)
    run = derive(started_at, "wfformat", name, started_at, makespan)
    yield definition
    yield run_fact(
        "create", run, started_at, workflow=definition["workflow"]["name"], trigger_type="manual",
        metadata=_metadata(document, section),
    )  # fmt: skip
    yield run_fact("start", run, started_at, attempt=1)
    ends: dict[str, datetime] = {}
    for key in order:
        begins = max((ends[parent] for parent in tasks[key].parents), default=started_at)
        ends[key] = begins + tasks[key].runtime
        yield from _of_task(run, tasks[key], started_at, begins, ends[key])
    yield run_fact("complete", run, max([started_at + makespan, *ends.values()]), attempt=1)


def _of_task(run: str, task: Task, started_at: datetime, begins: datetime, ends: datetime) -> Iterator[Fact]:
    node = derive(started_at, run, "node", task.key)
    yield node_fact("create", run, node, begins, node=node_name(task.key), input_data=task.input_data)
    yield node_fact("start", run, node, begins, attempt=1)
    yield node_fact("complete", run, node, ends, attempt=1, output_data=task.output_data)


def _metadata(document: Document, section: tuple[str, ...]) -> dict[str, object]:
    described = {key: document[key] for key in DESCRIBED if document.get(key) is not None}
    machines = get(document, *section, "machines", of=list, default=[])
    return {"source": "wfformat", "timing": "derived", "machines": machines, **described, "allow_concurrent": True}


def _definition(name: str, document: Document, tasks: Mapping[str, Task], order: list[str]) -> Fact:
    edges = [(node_name(parent), node_name(key)) for key in order for parent in sorted(tasks[key].parents)]
    description = get(document, "description", of=str, default="")
    nodes = [{"name": node_name(key), "node_type": "tool", "config": tasks[key].config} for key in order]
    return workflow(name, description, nodes, edges)


def _fingerprint(tasks: Mapping[str, Task]) -> str:
    """Return a hash of the graph, because several graphs may have the same name."""
    edges = sorted((key, sorted(task.parents)) for key, task in tasks.items())
    return sha256(json.dumps(edges).encode()).hexdigest()[:8]


def _sort(tasks: dict[str, Task]) -> tuple[dict[str, Task], list[str]]:
    """Return the tasks and their keys, parents first."""
    for key, task in tasks.items():
        if missing := sorted(task.parents - tasks.keys()):
            raise NotImportable(f"tasks: {key!r} has a parent that is not in the file: {missing[0]!r}.")
    try:
        return tasks, list(TopologicalSorter({key: sorted(task.parents) for key, task in tasks.items()}).static_order())
    except CycleError as error:
        raise NotImportable(f"tasks: there is a cycle: {' → '.join(error.args[1])}.") from None


def _tasks_of_15(document: Document) -> dict[str, Task]:
    listed = get(document, "workflow", "specification", "tasks", of=list)
    place = ("workflow", "execution", "tasks")
    executed = {
        get(document, *place, index, "id", of=str): each for index, each in enumerate(get(document, *place, of=list))
    }
    sizes = {get(each, "id", of=str): each.get("sizeInBytes") for each in _files(document)}
    children = _children(listed, "id")
    tasks: dict[str, Task] = {}
    for index, each in enumerate(listed):
        key = get(document, "workflow", "specification", "tasks", index, "id", of=str)
        if key not in executed:
            raise NotImportable(f"workflow.execution.tasks: there is none with the id {key!r}.")
        files = {side: [{"id": id, "size": sizes.get(id)} for id in each.get(side) or ()] for side in FILES}
        _add(tasks, key, each, executed[key], children, files)
    return _with_all_children(tasks, children)


FILES = {"inputFiles": "input", "outputFiles": "output"}


def _files(document: Document) -> list[Any]:
    found: list[Any] = get(document, "workflow", "specification", "files", of=list, default=[])
    return found


def _tasks_of_14(document: Document) -> dict[str, Task]:
    """Return the tasks of schema 1.4. Their key is the name, as parents refer to it."""
    listed = get(document, "workflow", "tasks", of=list)
    children = _children(listed, "name")
    tasks: dict[str, Task] = {}
    for index, each in enumerate(listed):
        key = get(document, "workflow", "tasks", index, "name", of=str)
        files = {
            side: [{"id": f.get("name"), "size": f.get("sizeInBytes")} for f in _files_of(each, link)]
            for side, link in FILES.items()
        }
        _add(tasks, key, each, each, children, files)
    return _with_all_children(tasks, children)


def _with_all_children(tasks: dict[str, Task], children: dict[str, set[str]]) -> dict[str, Task]:
    if missing := sorted(children.keys() - tasks.keys()):
        raise NotImportable(f"tasks: a child is not in the file: {missing[0]!r}.")
    return tasks


def _files_of(task: Any, link: str) -> list[Any]:
    return [file for file in task.get("files") or () if file.get("link") == link]


def _children(listed: list[Any], key: str) -> dict[str, set[str]]:
    """Return parents derived from the `children` lists."""
    parents: dict[str, set[str]] = {}
    for index, each in enumerate(listed):
        name = get(listed, index, key, of=str)
        for child in each.get("children") or ():
            parents.setdefault(child, set()).add(name)
    return parents


def _add(
    tasks: dict[str, Task], key: str, task: Any, execution: Any, children: dict[str, set[str]], files: dict[str, Any]
) -> None:
    if key in tasks:
        raise NotImportable(f"tasks: two of them are called {key!r}.")
    runtime = get(execution, "runtimeInSeconds", of=(int, float), default=None)
    if runtime is None or runtime < 0:
        raise NotImportable(f"tasks: {key!r} needs a runtimeInSeconds from 0.")
    config = {"name": task.get("name"), "program": get(execution, "command", "program", of=str, default="")}
    measured = {name: execution[name] for name in MEASURED if execution.get(name) is not None}
    arguments = get(execution, "command", "arguments", of=list, default=[])
    tasks[key] = Task(
        key, frozenset([*(task.get("parents") or ()), *children.get(key, ())]), timedelta(seconds=runtime), config,
        {"arguments": arguments, "files": files["inputFiles"]}, {"files": files["outputFiles"], **measured},
    )  # fmt: skip


def _executed_at(text: str, place: str) -> datetime:
    """Parse the start. Pegasus has two formats of its own."""
    if PEGASUS_4.fullmatch(text):
        return datetime.strptime(text, "%Y%m%dT%H%M%S%z")
    if PEGASUS_5.fullmatch(text):
        return datetime.strptime(text.replace("Z", "+0000"), "%m-%d-%yT%H:%M:%S%z")
    return parse_moment(text, place)
