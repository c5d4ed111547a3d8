"""Post-processing of the whole schema."""

from typing import Any

from . import examples, responses

type Schema = dict[str, Any]

TAGS = {
    "workflows": "Definitions of workflows: nodes, and the edges between them.",
    "events": "Many facts of many runs in one call.",
    "executions": "Runs of workflows: create, change, find and follow them.",
    "node executions": "Executions of the nodes of a run, and their attempts before a retry.",
    "bulk actions": "Actions on all runs that match a filter, in the background.",
    "error groups": "Groups of equal failures: state, assignee, history, and whether they are new.",
    "alerts": "Alert rules, channels and sent messages.",
    "logs": "Log lines of a run and of its nodes. A line is written once and never changed.",
}
# Fields that a response may lack; drf-spectacular says of each that it is required.
OPTIONAL = {"Outcome": {"tokens"}, "Notice": {"node_execution"}}


def complete(result: Schema, **_: object) -> Schema:
    """Add the tags, and the responses and schemas that operations refer to; make the fields in OPTIONAL optional."""
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    result["components"]["responses"] = responses.responses(examples.problems())
    schemas = result["components"]["schemas"]
    schemas |= responses.SCHEMAS
    for name, optional in OPTIONAL.items():
        schemas[name]["required"] = [field for field in schemas[name]["required"] if field not in optional]
    return result
