"""dbt's artifacts as facts: `run_results.json` is the run, `manifest.json` its graph."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .conversion import (
    Document,
    Fact,
    NotImportable,
    derive,
    get,
    line,
    node_fact,
    node_name,
    parse_moment,
    run_fact,
    same_or_derived,
    workflow,
)

ACTS = {
    "success": "complete", "pass": "complete", "warn": "complete", "no-op": "complete",
    "error": "fail", "fail": "fail", "runtime error": "fail", "partial success": "fail",
    "skipped": "skip",
}  # fmt: skip
LEVELS = {"warn": "warning", "error": "error", "fail": "error", "runtime error": "error", "partial success": "error"}
DETAILS = ("status", "thread_id", "execution_time", "failures", "adapter_response")


class Result(NamedTuple):
    """The result of one node in the files of dbt. A node that has not ended has the status ""."""

    name: str
    status: str
    started_at: datetime
    ended_at: datetime
    message: str = ""
    details: Mapping[str, object] = {}

    @property
    def act(self) -> str:
        return ACTS.get(self.status, "")


def facts(run_results: Document, manifest: Document | None = None) -> Iterator[Fact]:
    """Yield the facts of one invocation. Without the manifest the nodes have no edges. Raises NotImportable."""
    ended_at = parse_moment(get(run_results, "metadata", "generated_at", of=str), "metadata.generated_at")
    results = [_result(run_results, index, ended_at) for index in range(len(get(run_results, "results", of=list)))]
    elapsed = timedelta(seconds=get(run_results, "elapsed_time", of=(int, float), default=0))
    started_at = min([ended_at - elapsed, *(each.started_at for each in results)])
    ended_at = max([ended_at, *(each.ended_at for each in results)])
    invocation = get(run_results, "metadata", "invocation_id", of=str)
    version = get(run_results, "metadata", "dbt_version", of=str, default="")
    run, args = same_or_derived(invocation, started_at, "dbt"), get(run_results, "args", default={})
    definition = definition_of(manifest, [each.name for each in results])
    yield from start_of_run(run, definition, started_at, invocation, version, args)
    for result in results:
        yield from facts_of_node(run, result, started_at)
        yield _line_of_node(run, result, started_at)
    yield end_of_run(run, ended_at, results, "")


def start_of_run(
    run: str, definition: Fact, started_at: datetime, invocation: str, version: str, args: Mapping[str, object]
) -> Iterator[Fact]:
    """Yield the definition of the workflow, and the creation and the start of the run."""
    metadata = {"source": "dbt", "invocation_id": invocation, "dbt_version": version, "allow_concurrent": True}
    given = {name: value for name, value in args.items() if value is not None}
    yield definition
    yield run_fact(
        "create", run, started_at, workflow=definition["workflow"]["name"], trigger_type="manual",
        input_data={"args": given}, metadata=metadata,
    )  # fmt: skip
    yield run_fact("start", run, started_at, attempt=1)


def end_of_run(run: str, ended_at: datetime, results: Collection[Result], error: str) -> Fact:
    """Return the end of the run. It failed if a node failed, whose number is the error then, or if there is another
    error."""
    failed = sum(result.act == "fail" for result in results)
    if failed:
        error = f"{failed} of {len(results)} nodes failed."
    if error:
        return run_fact("fail", run, ended_at, attempt=1, error_message=error)
    return run_fact("complete", run, ended_at, attempt=1)


def _result(run_results: Document, index: int, ended_at: datetime) -> Result:
    """Return a result. A result without times failed or was skipped before it began: it gets the time of the run's
    end."""
    result, place = run_results["results"][index], f"results[{index}]"
    name = get(run_results, "results", index, "unique_id", of=str)
    status = get(run_results, "results", index, "status", of=str)
    if status not in ACTS:
        raise NotImportable(f"{place}.status: expected one of {', '.join(ACTS)}.")
    timing = get(run_results, "results", index, "timing", of=list, default=[])
    starts = [parse_moment(get(each, "started_at", of=str), f"{place}.timing") for each in timing]
    ends = [parse_moment(get(each, "completed_at", of=str), f"{place}.timing") for each in timing]
    first, last = min(starts, default=ended_at), max(ends, default=ended_at)
    message = get(run_results, "results", index, "message", of=str, default="")
    details = {key: result[key] for key in DETAILS if result.get(key) is not None}
    return Result(name, status, first, max(first, last), message, details)


def definition_of(manifest: Document | None, results: Collection[str]) -> Fact:
    """Return the definition of the project: what the manifest names, and the nodes that have results. Without the
    manifest it only adds to a workflow, whose edges may be known from an earlier import."""
    named = {**get(manifest, "nodes"), **get(manifest, "sources", default={})} if manifest else {}
    nodes = dict.fromkeys([*named, *results])
    parents = get(manifest, "parent_map", default={}) if manifest else {}
    edges = {
        (node_name(parent), node_name(child)): None
        for child in parents if child in nodes
        for parent in get(manifest, "parent_map", child, of=list) if parent in nodes
    }  # fmt: skip
    return workflow(
        _project(manifest, results), "Imported from dbt.",
        [{"name": node_name(name), "node_type": "tool", "config": _config(named.get(name))} for name in nodes], edges,
        only_add=manifest is None,
    )  # fmt: skip


def _config(node: object) -> dict[str, Any]:
    described = node if isinstance(node, dict) else {}
    wanted = ("resource_type", "schema", "alias", "original_file_path")
    return {key: described[key] for key in wanted if isinstance(described.get(key), str)}


def _project(manifest: Document | None, results: Collection[str]) -> str:
    """Return the name of the project. Old manifests lack it; there it is the second part of each node's name."""
    given: str = get(manifest, "metadata", "project_name", of=str, default="")
    names = [*(get(manifest, "nodes") if manifest else ()), *results]
    return given or next((parts[1] for name in names if len(parts := name.split(".")) > 2), "dbt")


def facts_of_node(run: str, result: Result, started_at: datetime) -> Iterator[Fact]:
    """Yield the facts of one node of a run that started at `started_at`."""
    node = id_of_node(run, result.name, started_at)
    yield node_fact("create", run, node, result.started_at, node=node_name(result.name))
    if result.act != "skip":
        yield node_fact("start", run, node, result.started_at, attempt=1)
    error = {"error_message": result.message} if result.act == "fail" else {}
    output = {"output_data": result.details} if result.act == "complete" else {}
    if result.act:
        yield node_fact(result.act, run, node, result.ended_at, attempt=1, **error, **output)


def id_of_node(run: str, name: str, started_at: datetime) -> str:
    return derive(started_at, run, "node", name)


def _line_of_node(run: str, result: Result, started_at: datetime) -> Fact:
    node, level = id_of_node(run, result.name, started_at), LEVELS.get(result.status, "info")
    return line(run, node, result.ended_at, level, result.message or result.status, result.details, result.name)
