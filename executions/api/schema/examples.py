"""Examples recorded from the API by `make examples`; a test compares them with its responses."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("examples.json")

type Examples = dict[str, Any]


@cache
def recorded_examples() -> Examples:
    """`{"operations": {id: {"request": {name: body}, status: {name: body}}}, "problems": {status: {name: body}}}`"""
    examples: Examples = json.loads(FILE.read_text())
    return examples


def requests(operation_id: str) -> Examples:
    return _with_names(recorded_examples()["operations"].get(operation_id, {}).get("request", {}))


def answers(operation_id: str, status: str) -> Examples:
    return _with_names(recorded_examples()["operations"].get(operation_id, {}).get(status, {}))


def events(operation_id: str) -> Examples:
    """Return the first event of each kind of a recorded stream."""
    found: Examples = {}
    for text in recorded_examples()["operations"].get(operation_id, {}).get("200", {}).values():
        for block in text.split("\n\n"):
            event = dict(line.split(": ", 1) for line in block.splitlines())
            if "data" in event:
                found.setdefault(event["event"], block + "\n\n")
    return _with_names(found)


def problems() -> Examples:
    found: Examples = recorded_examples()["problems"]
    return found


def _with_names(bodies: Examples) -> Examples:
    return {name: {"value": body} for name, body in bodies.items()}
