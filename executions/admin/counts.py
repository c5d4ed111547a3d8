"""Numbers of runs on pages, each with the list that it counts."""

from dataclasses import dataclass

from executions import limits
from executions.admin.types import Runs


@dataclass(frozen=True)
class Count:
    """Number of runs in the list at the URL `address`. `is_more`: counting stopped at `number`."""

    number: int
    address: str
    is_more: bool = False


def count_runs(runs: Runs, address: str) -> Count:
    """Count at most COUNTED_RUNS runs, which bounds the cost of the query."""
    number = runs.order_by()[: limits.COUNTED_RUNS + 1].count()
    return Count(min(number, limits.COUNTED_RUNS), address, is_more=number > limits.COUNTED_RUNS)
