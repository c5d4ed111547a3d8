"""Numbers of rows on pages, each with the list that it counts."""

from dataclasses import dataclass

from django.db.models import Model, QuerySet

from executions import limits
from executions.admin.types import Runs


@dataclass(frozen=True)
class Count:
    """Number of rows in the list at the URL `address`. `is_more`: counting stopped at `number`."""

    number: int
    address: str
    is_more: bool = False


def count_runs(runs: Runs, address: str) -> Count:
    return count_up_to(limits.COUNTED_RUNS, runs, address)


def count_up_to(most: int, rows: QuerySet[Model], address: str) -> Count:
    """Count at most so many rows, which bounds the cost of the query."""
    number = rows.order_by()[: most + 1].count()
    return Count(min(number, most), address, is_more=number > most)
