"""dbt's structured log (`--log-format json`, an event in each line) as facts.

A log may hold many invocations; each is a run. An invocation without an end was killed, or is under way: its run stays
running, and the same log imported later adds what has happened since.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from . import dbt
from .conversion import Document, Fact, NotImportable, get, line, node_fact, parse_moment, same_or_derived

LEVELS = {"debug": "debug", "test": "debug", "info": "info", "warn": "warning", "error": "error"}
DETAILS = ("status", "thread", "execution_time", "num_failures", "adapter_response")
NO_END = "dbt reported the end of the run, but not of this node."


class Event(NamedTuple):
    """An event. `number` counts those of the file from 1; `node` is empty for events of the whole run."""

    number: int
    name: str
    invocation: str
    moment: datetime
    level: str
    message: str
    node: str
    data: Mapping[str, object]


def is_event(value: object) -> bool:
    """Return whether a value is an event of dbt's log."""
    info = value.get("info") if isinstance(value, dict) else None
    return isinstance(info, dict) and {"name", "ts", "invocation_id"} <= info.keys()


def facts(events: Sequence[Document], manifest: Document | None = None) -> Iterator[Fact]:
    """Yield the facts of each invocation of a log. Without the manifest the nodes have no edges. Raises
    NotImportable."""
    invocations: dict[str, list[Event]] = {}
    for number, value in enumerate(events, 1):
        event = _event(number, value)
        invocations.setdefault(event.invocation, []).append(event)
    for some in invocations.values():
        yield from _facts_of_invocation(some, manifest)


def _event(number: int, value: Document) -> Event:
    try:
        return Event(
            number,
            get(value, "info", "name", of=str),
            get(value, "info", "invocation_id", of=str),
            parse_moment(get(value, "info", "ts", of=str), "info.ts"),
            LEVELS.get(get(value, "info", "level", of=str, default="info"), "info"),
            get(value, "info", "msg", of=str, default=""),
            get(value, "data", "node_info", "unique_id", of=str, default=""),
            get(value, "data", default={}),
        )
    except NotImportable as error:
        raise NotImportable(f"event {number}: {error}") from None


def _facts_of_invocation(events: Sequence[Event], manifest: Document | None) -> Iterator[Fact]:
    started_at, invocation = events[0].moment, events[0].invocation
    run, results = same_or_derived(invocation, started_at, "dbt"), _results(events)
    version = _value_of(_last(events, "MainReportVersion"), "version", of=str, default="").lstrip("=")
    args = _value_of(_last(events, "MainReportArgs"), "args", default={})
    yield from dbt.start_of_run(run, dbt.definition_of(manifest, results), started_at, invocation, version, args)
    for result in results.values():
        yield from dbt.facts_of_node(run, result, started_at)
    yield from _lines(run, events, results, started_at)
    end = _last(events, "CommandCompleted")
    if end is not None:
        yield from _end(run, end, results, started_at)


def _results(events: Sequence[Event]) -> dict[str, dbt.Result]:
    """Return the result of each node that has started or ended. Parts of a node may report with its name, as the
    batches of a microbatch model: it starts with the first and ends with the last."""
    results: dict[str, dbt.Result] = {}
    for event in events:
        if event.node and event.name in {"NodeStart", "NodeFinished"}:
            results[event.node] = _result(event, results.get(event.node))
    return results


def _result(event: Event, earlier: dbt.Result | None) -> dbt.Result:
    started_at = earlier.started_at if earlier else _moment_of_node(event, "node_started_at")
    if event.name == "NodeStart":
        return dbt.Result(event.node, "", started_at, started_at)
    status = _value_of(event, "run_result", "status", of=str, default="")
    if status not in dbt.ACTS:
        place = f"event {event.number}: data.run_result.status"
        raise NotImportable(f"{place}: expected one of {', '.join(dbt.ACTS)}.")
    ended_at = max(started_at, _moment_of_node(event, "node_finished_at"))
    message = _value_of(event, "run_result", "message", of=str, default="")
    values = {key: get(event.data, "run_result").get(key) for key in DETAILS}
    details = {key: value for key, value in values.items() if value is not None}
    return dbt.Result(event.node, status, started_at, ended_at, message, details)


def _moment_of_node(event: Event, key: str) -> datetime:
    """Return a time of the node, without a zone in UTC; that of the event where it has none."""
    value = _value_of(event, "node_info", key, of=str, default="")
    return parse_moment(value, f"event {event.number}: data.node_info.{key}") if value else event.moment


def _lines(
    run: str, events: Sequence[Event], results: Mapping[str, dbt.Result], started_at: datetime
) -> Iterator[Fact]:
    """Yield a log line of each event that has a message. Most events without one only make space on a terminal."""
    for number, event in enumerate(events):
        if event.message.strip():
            node = dbt.id_of_node(run, event.node, started_at) if event.node in results else None
            yield line(run, node, event.moment, event.level, event.message, event.data, number)


def _end(run: str, end: Event, results: Mapping[str, dbt.Result], started_at: datetime) -> Iterator[Fact]:
    for result in results.values():
        if not result.act:
            node = dbt.id_of_node(run, result.name, started_at)
            yield node_fact("cancel", run, node, max(end.moment, result.started_at), attempt=1, reason=NO_END)
    is_success = _value_of(end, "success", of=bool, default=False)
    ended_at = max([end.moment, *(result.ended_at for result in results.values())])
    yield dbt.end_of_run(run, ended_at, results.values(), "" if is_success else end.message or "dbt failed.")


def _last(events: Sequence[Event], name: str) -> Event | None:
    return next((event for event in reversed(events) if event.name == name), None)


def _value_of(event: Event | None, *path: str, of: type = dict, default: object) -> Any:
    """Return a value of an event's data, the default if there is no event. Raises NotImportable with its number."""
    if event is None:
        return default
    try:
        return get({"data": event.data}, "data", *path, of=of, default=default)
    except NotImportable as error:
        raise NotImportable(f"event {event.number}: {error}") from None
