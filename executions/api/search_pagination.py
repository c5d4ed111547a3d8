"""Pages of a list that is searched for a text by `q`."""

from functools import partial
from typing import Any, cast
from uuid import UUID

from django.http import QueryDict

from executions import limits
from executions.api.filters.filtersets import error_text
from executions.models import WorkflowExecution
from executions.models.run_indexes import FAILED_OR_WITH_ERROR
from executions.querysets import WorkflowExecutionQuerySet
from executions.text_search import (
    WAYS,
    find_by_walk_or_ids,
    find_in_order_or_by_index,
    find_in_time,
    is_walked_first,
    without_index,
)
from ledgerkit.db import bounded_rows, keyset
from ledgerkit.db.plain_rows import Table
from ledgerkit.db.timeouts import no_sort
from ledgerkit.rest.pagination import KeysetPagination


class SearchedPagination(KeysetPagination):
    def read_first(self, rows: Any, order: keyset.Order, number: int) -> tuple[Table, bool]:
        """Return the first rows in that order. Those with `q` are found as in the lists of the admin, and in the
        planner's way, however long that takes, if neither is in time."""
        read = partial(super().read_first, rows, order, number)
        if "q" not in self.request.query_params:
            return read()
        sort = partial(bounded_rows.read, rows.order_by(*without_index(order))[:number])
        if is_walked_first(rows.model):
            found = find_by_walk_or_ids(read, sort)
        else:
            found = find_in_order_or_by_index(read, sort, WAYS)
        return found or find_in_time(sort, limits.LIST_MS) or read()


class RunPagination(KeysetPagination):
    def read_first(self, rows: Any, order: keyset.Order, number: int) -> tuple[Table, bool]:
        """Return the first rows in that order. With `q` and a workflow of few errors all of these are read: the planner
        would combine their index with that of the texts, and read there all runs of the ledger that have the text."""
        given = self.request.query_params
        if given.get("error"):
            return self._read_by_error(rows, order, number)
        first = rows.first_of(order, number)
        if {"q", "workflow"} <= given.keys() and order[0].endswith("created_at") and _has_few_errors(given):
            with no_sort():
                return bounded_rows.read(first)
        return bounded_rows.read(first)

    def _read_by_error(self, rows: WorkflowExecutionQuerySet, order: keyset.Order, number: int) -> tuple[Table, bool]:
        """Return the first rows as the list of the admin finds them: those with a rare text by the indexes of texts."""
        read = partial(bounded_rows.read, cast("bounded_rows.Rows", rows.first_of(order, number)))
        named = rows.filter(pk__in=error_text(self.request.user, self.request.query_params).ids)
        sorted_rows = cast("bounded_rows.Rows", named.order_by(*without_index(order))[:number])
        sort = partial(bounded_rows.read, sorted_rows)
        return find_by_walk_or_ids(read, sort) or find_in_time(sort, limits.LIST_MS) or read()


def _has_few_errors(given: QueryDict) -> bool:
    """Return whether the index of the workflow's errors is read to its end soon."""
    workflows = ",".join(given.getlist("workflow")).split(",")
    if len(workflows) > 1 or not workflows[0]:
        return False
    # The condition of the index, so that no rows are read.
    errors = WorkflowExecution.objects.filter(FAILED_OR_WITH_ERROR, workflow=UUID(workflows[0]))
    newest = errors.order_by("-created_at", "-id").values_list("pk")
    return not list(newest[limits.FEW_ERRORS : limits.FEW_ERRORS + 1])
