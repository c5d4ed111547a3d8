"""Headers of Celery's messages that name the run of a task."""

import time
from collections.abc import Sequence
from typing import Protocol

from .celery_graphs import Signature, header_of, stages_in, stages_of
from .celery_requests import root_of
from .encoding import moment
from .graphs import Stages
from .ids import derive

# The id of the run, the name of its workflow, the id of its first task or group, the time at which that was sent, and
# the stages of the run, unless they are too many.
RUN, WORKFLOW, ROOT, SENT, GRAPH = HEADERS = (
    "pastetrader_run", "pastetrader_workflow", "pastetrader_root", "pastetrader_sent", "pastetrader_graph",
)  # fmt: skip
BASE = "00000000-0000-7000-8000-000000000000"  # base of the derived ids of runs without a header


class Request(Protocol):
    """Celery's description of a received task."""

    task: str
    group: str | None
    parent_id: str | None
    chain: Sequence[Signature] | None
    chord: Signature | None


def inherit(headers: dict[str, object], parent: object) -> None:
    """Copy the headers of the sending task to a message."""
    for name in HEADERS:
        if (inherited := getattr(parent, name, None)) is not None:
            headers[name] = inherited


def fill_headers(request: Request, task: str) -> None:
    """Set missing headers in the request of a task, whose sender does not report or has an earlier version. The
    messages that the task sends inherit them."""
    given = vars(request)
    if given.get(RUN) is None:
        root = root_of(request)
        given.update({RUN: run_of(request), WORKFLOW: task, ROOT: root, SENT: moment(time.time_ns())})
    if given.get(GRAPH) is None and (header := header_of(graph_of(request, task))):
        given[GRAPH] = header


def run_of(request: Request) -> str:
    """Return the id of the run of a task. If the sender of a group does not report, the tasks of each name are one run:
    no task knows the others, and a run has one workflow."""
    if (found := getattr(request, RUN, None)) is not None:
        return str(found)
    root = root_of(request)
    return derive(BASE, f"{root} {request.task}" if root == request.group else root)


def graph_of(request: Request, task: str) -> Stages:
    """Return the stages of the run, none if neither a header nor its first task has them."""
    if stages := stages_in(getattr(request, GRAPH, None)):
        return stages
    return stages_of(task, request.chain, request.chord) if request.parent_id is None else ()
