"""Post-processing of the whole schema."""

from typing import Any

from . import examples, responses

type Schema = dict[str, Any]

TAGS = {
    "workflows": "Definitions: a workflow, its nodes, and the edges between them.",
    "events": "Many facts of many runs in one call.",
    "executions": "Runs of a workflow: make, move, find and watch them.",
    "node executions": "What each node of a run did, and did before a retry.",
    "bulk actions": "One verb on all runs that match a filter, in the background.",
    "error groups": "Equal failures: whether they are new, their state, and who looks at them.",
    "alerts": "What is told to whom: rules, channels, and the log of messages.",
    "logs": "Log lines of a run and of its nodes. A line is written once and never changed.",
}
# Fields that a response may lack; drf-spectacular says of each that it is required.
OPTIONAL = {"Outcome": {"tokens"}, "Notice": {"node_execution"}}


def complete(result: Schema, **_: object) -> Schema:
    """The refusals, which every operation refers to, and the tags in their order."""
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    result["components"]["responses"] = responses.responses(examples.problems())
    schemas = result["components"]["schemas"]
    schemas |= responses.SCHEMAS
    for name, optional in OPTIONAL.items():
        schemas[name]["required"] = [field for field in schemas[name]["required"] if field not in optional]
    return result
