"""Distributions of a generated ledger: creation of the runs, and numbers of node executions and log lines of each."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import accumulate
from random import Random

from .seed_plan import PERIOD, SECOND, Definition, Plan, to_microseconds


def creation_times(plan: Plan, random: Random) -> list[int]:
    """Return the sorted creation times: more by day than by night, more on weekdays."""
    hours = range(int(PERIOD / timedelta(hours=1)))
    starts = [plan.since + timedelta(hours=hour) for hour in hours]
    weights = list(accumulate((0.3 if s.weekday() > 4 else 1) * (1 if 13 <= s.hour < 21 else 0.35) for s in starts))
    drawn = random.choices(hours, cum_weights=weights, k=plan.runs)
    first, hour = to_microseconds(plan.since), 3600 * SECOND
    return sorted(first + each * hour + int(random.random() * hour) for each in drawn)


def node_counts(plan: Plan, random: Random, chosen: Sequence[Definition]) -> Iterator[int]:
    """Yield the node executions of each run, whose definitions are `chosen`: at most one for each node, and in sum
    exactly `plan.nodes`."""
    left, room = plan.nodes, sum(len(definition.steps) for definition in chosen)
    for definition in chosen:
        size = len(definition.steps)
        some = round(left * size / room * random.uniform(0.7, 1.3))
        room -= size
        some = max(left - room, min(some, size, left), 0)
        left -= some
        yield some


def line_counts(plan: Plan, random: Random) -> Iterator[int]:
    """Yield the log lines of each run, in sum exactly `plan.lines`."""
    weights = [random.lognormvariate(0, 1.1) for _ in range(plan.runs)]
    left, total = plan.lines, math.fsum(weights)
    for index, weight in enumerate(weights):
        some = left if index == plan.runs - 1 else min(left, round(left * weight / total))
        left, total = left - some, max(total - weight, weight)
        yield some
