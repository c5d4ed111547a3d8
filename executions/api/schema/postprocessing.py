"""Post-processing of the whole schema."""

from typing import Any

from . import descriptions, examples, responses

type Schema = dict[str, Any]


def complete(result: Schema, **_: Any) -> Schema:
    """The refusals, which every operation refers to, and the tags in their order."""
    result["tags"] = [{"name": name, "description": text} for name, text in descriptions.TAGS.items()]
    result["components"]["responses"] = responses.responses(examples.problems())
    result["components"]["schemas"] |= responses.SCHEMAS
    return result
