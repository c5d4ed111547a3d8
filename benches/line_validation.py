"""Measure the validation of 500 log lines of one request, all by one function and each by its serializer, and their
rows, as values and as objects of the model, in turns.

`python -m benches.line_validation [--lines 500] [--rounds 9]` needs no database. A short line has a level and
a message of 120 characters; a full one has an id, a time, a node execution and data too.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:  # a second time, it would take the handlers of the logs away
    django.setup()

from rest_framework.serializers import ListSerializer  # must come after django.setup()

from benches.output import out
from executions.api.log_line_serializers import good_lines
from executions.api.serializers import ExecutionLogSerializer
from executions.models import ExecutionLog
from executions.unsaved_log_lines import UnsavedLine
from ledgerkit.db.models import uuid7

NODE, RUN, NOW = uuid7(), uuid7(), datetime.now(UTC)
CONTEXT = {"node_executions": {NODE}}


type Way = Callable[[list[Any]], object]


def short(number: int) -> list[dict[str, Any]]:
    return [{"level": "info", "message": f"loaded {n:06d} rows of AAPL ".ljust(120, "x")} for n in range(number)]


def full(number: int) -> list[dict[str, Any]]:
    more = {"timestamp": "2026-11-28T09:00:00.123456Z", "node_execution": str(NODE), "data": {"rows": 500}}
    return [{"id": str(uuid7()), **line, **more} for line in short(number)]


def by_one_function(lines: list[Any]) -> object:
    return good_lines(lines, {NODE})


def by_serializer(lines: list[Any]) -> object:
    each: Any = ListSerializer(data=lines, child=ExecutionLogSerializer(), context=CONTEXT)
    return each.is_valid(raise_exception=True)


def as_values(lines: list[Any]) -> object:
    return [UnsavedLine.from_values(RUN, line, NOW) for line in lines]


def as_objects(lines: list[Any]) -> object:
    """Make objects by position, at half the price of names."""
    return [
        ExecutionLog(
            line.get("id") or uuid7(), RUN, line.get("node_execution_id"), line["level"], line["message"],
            line.get("data"), line.get("timestamp") or NOW, False, None, None, None,
        )
        for line in lines
    ]  # fmt: skip


def milliseconds(validate: Way, lines: list[Any]) -> float:
    began = time.process_time()
    if not validate(lines):
        raise SystemExit("The lines were not accepted.")
    return (time.process_time() - began) * 1000


def show(heads: tuple[str, str], ways: tuple[Way, Way], bodies: dict[str, list[Any]], rounds: int) -> None:
    out(f"{'ms of processor':<27}{heads[0]:>16}{heads[1]:>12}")
    for name, lines in bodies.items():
        took = [[milliseconds(way, lines) for way in ways] for _ in range(rounds)]
        one, other = map(statistics.median, zip(*took, strict=True))
        out(f"{name:<27}{one:>16.2f}{other:>12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    bodies: dict[str, list[Any]] = {make.__name__: make(options.lines) for make in (short, full)}
    show(("one function", "serializer"), (by_one_function, by_serializer), bodies, options.rounds)
    good: dict[str, list[Any]] = {name: good_lines(lines, {NODE}) or [] for name, lines in bodies.items()}
    show(("values", "objects"), (as_values, as_objects), good, options.rounds)


if __name__ == "__main__":
    main()
