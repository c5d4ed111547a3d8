"""Names and descriptions of the operations, for users of the API: add a line here for a new one."""

from typing import Any, NamedTuple

from rest_framework.permissions import SAFE_METHODS


class Noun(NamedTuple):
    """Name of the rows of a viewset, by the `basename` of its route, for operation ids and tags."""

    one: str
    many: str
    tag: str


TAGS = {
    "workflows": "Definitions: a workflow, its nodes, and the edges between them.",
    "executions": "Runs of a workflow: make, move, find and watch them.",
    "node executions": "What each node of a run did, and did before a retry.",
    "logs": "Log lines of a run and of its nodes. A line is a fact: it is written once and never changed.",
}

NOUNS = {
    "workflow": Noun("Workflow", "Workflows", "workflows"),
    "execution": Noun("Execution", "Executions", "executions"),
    "execution-attempt": Noun("ExecutionAttempt", "ExecutionAttempts", "executions"),
    "execution-history": Noun("ExecutionHistoryEntry", "ExecutionHistory", "executions"),
    "execution-node": Noun("ExecutionNode", "ExecutionNodes", "node executions"),
    "node-execution": Noun("NodeExecution", "NodeExecutions", "node executions"),
    "node-execution-attempt": Noun("NodeExecutionAttempt", "NodeExecutionAttempts", "node executions"),
    "execution-log": Noun("ExecutionLogs", "ExecutionLogs", "logs"),
    "log": Noun("Log", "Logs", "logs"),
}

# The action of a viewset → the first word of the operation's id.
VERBS = {
    "list": "list",
    "create": "create",
    "retrieve": "get",
    "update": "replace",
    "partial_update": "update",
    "destroy": "delete",
}

AGAIN = "One that is there already under its `id` is answered with 200, or with 409 where its content is another."
LISTS = "Payloads (`input_data`, `output_data`, `context`, tracebacks) are left out; read the single one for them."

# (basename, action) → (summary, description).
WORDS: dict[tuple[str, str], tuple[str, str]] = {
    ("workflow", "list"): (
        "List workflows",
        "By name; `name` finds those of one name. Their graphs are left out; read the single workflow for them.",
    ),
    ("workflow", "create"): (
        "Make a workflow with its graph",
        (
            "The whole graph in one call: edges name their nodes by id or by name. What is saved is a DAG; edges "
            "that close a circle are refused with the circle."
        ),
    ),
    ("workflow", "retrieve"): ("Read a workflow with its graph", "The workflow, its nodes and the edges between them."),
    ("workflow", "update"): (
        "Replace a workflow",
        (
            "`nodes` or `edges` that are left out stay as they are; a node with the id, or else the name, of one "
            "that is there replaces it. `version`, or `If-Match`, refuses the change where the workflow is newer."
        ),
    ),
    ("workflow", "partial_update"): (
        "Change parts of a workflow",
        "Only what the body names is changed; `nodes` and `edges` are replaced as a whole where they are named.",
    ),
    ("workflow", "destroy"): (
        "Delete a workflow",
        "It is put out of use and no longer listed; its runs and their history stay.",
    ),
    ("workflow", "graph"): (
        "Read the graph of a workflow",
        "Its nodes with their topological levels, and the edges between them.",
    ),
    ("workflow", "ensure"): (
        "Find or make a workflow by its name",
        (
            "The caller's own workflow of this name, for an engine that starts: made where there is none (201), else "
            "changed to what the body says where it differs, which raises its version, and found (200). What is left "
            "out keeps its value. Of several with this name it is the one that was made first."
        ),
    ),
    ("workflow", "duplicate"): (
        "Duplicate a workflow",
        "A new workflow of the caller's own with the same definition, named `name` or after the one it is made of.",
    ),
    ("execution", "list"): ("List runs", f"Newest first, unless `ordering` says otherwise. {LISTS}"),
    ("execution", "create"): (
        "Make a run",
        (
            "A pending run of an active workflow. The values under `context.secrets` are masked in every answer, and "
            f"found and masked in whatever the run reports later. {AGAIN}"
        ),
    ),
    ("execution", "retrieve"): (
        "Read a run",
        (
            "With `expand=nodes,logs` also its node executions, as many as one page has room for (where there are "
            "more, `nodes_are_cut` is true), and its newest 200 log lines, the oldest of them first."
        ),
    ),
    ("execution", "destroy"): (
        "Delete a run",
        (
            "With its node executions, its attempts, its log lines and its history. That it was there, who deleted it "
            "and the `reason` that the body may give are kept, for staff to see."
        ),
    ),
    ("execution", "graph"): (
        "Read the graph that a run was made with",
        (
            "Whatever became of its workflow since: nodes, levels, edges, and what became of each node in this run. "
            "It is empty, as the list of nodes is, for whoever may not see the node executions of others."
        ),
    ),
    ("execution", "start"): (
        "Start a run",
        (
            "pending → running. Refused (409) while another run of the workflow is running, unless "
            "`allow_concurrent` of this run's metadata is true."
        ),
    ),
    ("execution", "complete"): (
        "Complete a run",
        "running → completed; pending nodes are skipped. Refused (409) while nodes are running, and says how many.",
    ),
    ("execution", "fail"): ("Fail a run", "running → failed; pending nodes are skipped, running ones cancelled."),
    ("execution", "cancel"): (
        "Cancel a run",
        "pending or running → cancelled, and with it every pending or running node.",
    ),
    ("execution", "retry"): (
        "Retry a failed run",
        (
            "failed → pending. What the failed attempt was is kept; failed nodes are retried too, nodes that were "
            "skipped or cancelled because of the failure are pending again, completed ones stay as they are."
        ),
    ),
    ("execution", "stream"): (
        "Follow a run",
        (
            "Server-sent events: `logs` (lines as `logs/` prints them), `node` and `execution` (as their lists print "
            "them, whenever one was made or moved), then `end`. All there is comes first, unless `from=now` leaves out "
            "the lines. The `id` of an event goes back in `Last-Event-ID`: no line is missed and none is told twice, a "
            "state may be. Comments fill the silence. 204 where the end has been told already; 429 where too many "
            "streams are open."
        ),
    ),
    ("execution", "moves"): (
        "Follow the moves of all runs",
        (
            "Server-sent events: `execution`, for each run that was made or moved from now on, as the list prints it, "
            "and `deleted`, for each that was deleted. The `id` of an event goes back in `Last-Event-ID`. 429 where "
            "too many streams are open."
        ),
    ),
    ("execution-history", "list"): (
        "List what happened to a run",
        (
            "Every move of the run and of its nodes, in order: who made it, through what, from where to where, under "
            "which `X-Request-ID`, and why. Nobody can change it."
        ),
    ),
    ("execution-attempt", "list"): (
        "List earlier attempts of a run",
        "What the run was before each retry; the attempt that counts now is the run itself.",
    ),
    ("execution-attempt", "retrieve"): ("Read an earlier attempt of a run", "By its number, from 1."),
    ("execution-node", "list"): ("List the nodes of a run", f"By topological level. {LISTS}"),
    ("execution-node", "create"): (
        "Add a node to a run",
        (
            "A pending execution of a node of the run's workflow, which `node` names by id or by name; "
            f"`execution_order` is its topological level unless given. Refused (409) where the run has ended. {AGAIN}"
        ),
    ),
    ("node-execution", "list"): ("List node executions across runs", f"Newest first. {LISTS}"),
    ("node-execution", "retrieve"): ("Read a node execution", "With its payloads and, if it failed, its traceback."),
    ("node-execution", "start"): ("Start a node", "pending → running. Refused (409) unless its run is running."),
    ("node-execution", "complete"): ("Complete a node", "running → completed."),
    ("node-execution", "fail"): ("Fail a node", "running → failed, with the error and, if any, its traceback."),
    ("node-execution", "skip"): ("Skip a node", "pending → skipped."),
    ("node-execution", "cancel"): ("Cancel a node", "pending or running → cancelled."),
    ("node-execution", "retry"): (
        "Retry a failed node",
        (
            "failed → pending, while `can_retry`; the failed attempt is kept. Refused (409) where its run has ended: "
            "the retry of a failed run retries its failed nodes."
        ),
    ),
    ("node-execution-attempt", "list"): (
        "List earlier attempts of a node execution",
        "What it was before each retry; the attempt that counts now is the node execution itself.",
    ),
    ("node-execution-attempt", "retrieve"): ("Read an earlier attempt of a node execution", "By its number, from 1."),
    ("execution-log", "list"): (
        "List the log lines of a run",
        "Oldest first; `ordering=-timestamp` turns it round. `node` is a node or a node execution.",
    ),
    ("execution-log", "create"): (
        "Write log lines of a run",
        (
            "One line, answered with one; or a list of up to 10,000, answered with a list in the same order and "
            "stored as a whole or not at all. Taken after the end of the run as well. 200 where every line was there "
            "already under its `id` and with the same content, 409 where one has other content."
        ),
    ),
    ("log", "list"): (
        "List log lines across runs",
        "Newest first, within a period of at most 31 days: `after` and `before` are required.",
    ),
}


def words(basename: str, action: str) -> tuple[str, str]:
    """Raises LookupError, saying where to add what is missing."""
    try:
        return WORDS[basename, action]
    except KeyError:
        raise LookupError(
            f"The schema has no words for the action {action!r} of {basename!r}: say in WORDS of {__name__} "
            "what it does."
        ) from None


def noun(basename: str) -> Noun:
    """Raises LookupError, saying where to add what is missing."""
    try:
        return NOUNS[basename]
    except KeyError:
        raise LookupError(
            f"The schema has no noun for the route {basename!r}: add it to NOUNS of {__name__}."
        ) from None


def operation_id(basename: str, action: str, method: str) -> str:
    """`listExecutions`, `startExecution`; of what an action reads, `getWorkflowGraph`."""
    rows = noun(basename)
    if action in VERBS:
        return VERBS[action] + (rows.many if action == "list" else rows.one)
    name = "".join(part.capitalize() for part in action.split("_"))
    return f"get{rows.one}{name}" if method in SAFE_METHODS else f"{name[0].lower()}{name[1:]}{rows.one}"


def needed(view: Any, method: str) -> str:
    """Return who may call it: the scope that a token needs and the permission that a session's user needs."""
    if method in SAFE_METHODS:
        return f"A token needs the scope `{view.reads}`; a session reads what its user may see."
    scope, permission = view.grants[view.action]
    return f"A token needs the scope `{scope}`; a session's user needs the permission `{permission}`."
