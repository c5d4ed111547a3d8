"""Headers of Celery's messages in which the run of a task travels."""

import time
from collections.abc import Sequence
from typing import Protocol

from .celery_graphs import Signature, header_of, stages_in, stages_of
from .celery_requests import root_of
from .encoding import moment
from .graphs import Stages
from .ids import derive

# The id of the run, the name of its workflow, the id of the task or group that it began with, the time at which that
# was sent, and the stages that it began with, unless they are too many.
RUN, WORKFLOW, ROOT, SENT, GRAPH = HEADERS = (
    "pastetrader_run", "pastetrader_workflow", "pastetrader_root", "pastetrader_sent", "pastetrader_graph",
)  # fmt: skip
BASE = "00000000-0000-7000-8000-000000000000"  # of the ids of runs that no header names


class Request(Protocol):
    """A task that a worker has got, as Celery describes it."""

    task: str
    group: str | None
    parent_id: str | None
    chain: Sequence[Signature] | None
    chord: Signature | None


def inherit(headers: dict[str, object], parent: object) -> None:
    """Give a message the headers of the task that sends it."""
    for name in HEADERS:
        if (inherited := getattr(parent, name, None)) is not None:
            headers[name] = inherited


def fill_headers(request: Request, task: str) -> None:
    """Give the request of a task what its sender has not, which does not report or is of an earlier version. What the
    task sends inherits it."""
    given = vars(request)
    if given.get(RUN) is None:
        root = root_of(request)
        given.update({RUN: run_of(request), WORKFLOW: task, ROOT: root, SENT: moment(time.time_ns())})
    if given.get(GRAPH) is None and (header := header_of(graph_of(request, task))):
        given[GRAPH] = header


def run_of(request: Request) -> str:
    """Return the run of a task. Of a group whose sender does not report, the tasks of each name are one: none of them
    knows the others, and a run is of one workflow."""
    if (found := getattr(request, RUN, None)) is not None:
        return str(found)
    root = root_of(request)
    return derive(BASE, f"{root} {request.task}" if root == request.group else root)


def graph_of(request: Request, task: str) -> Stages:
    """Return the stages that the run began with, none if neither a header nor its first task has them."""
    if stages := stages_in(getattr(request, GRAPH, None)):
        return stages
    return stages_of(task, request.chain, request.chord) if request.parent_id is None else ()
