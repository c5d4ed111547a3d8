"""Measure the validation of 500 log lines of one request: all by one function, and each by its serializer, in turns.

`python -m benches.line_validation [--lines 500] [--rounds 9]` needs no database. A short line has a level and
a message of 120 characters; a full one has an id, a time, a node execution and data too.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
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
from ledgerkit.db.models import uuid7

NODE = uuid7()
CONTEXT = {"node_executions": {NODE}}


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


def milliseconds(validate: Callable[[list[Any]], object], lines: list[Any]) -> float:
    began = time.process_time()
    if not validate(lines):
        raise SystemExit("The lines were not accepted.")
    return (time.process_time() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    out(f"{options.lines:,} lines, ms of processor{'one function':>18}{'serializer':>12}")
    for make in (short, full):
        lines = make(options.lines)
        took = [[milliseconds(way, lines) for way in (by_one_function, by_serializer)] for _ in range(options.rounds)]
        function, serializer = map(statistics.median, zip(*took, strict=True))
        out(f"{make.__name__:<27}{function:>16.2f}{serializer:>12.2f}")


if __name__ == "__main__":
    main()
