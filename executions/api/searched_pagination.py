"""Pages of a list that is searched for a text by `q`."""

from functools import partial
from typing import Any

from executions import limits
from executions.searched_rows import find_in_order, find_in_time, ways_of, without_index
from ledgerkit.db import bounded_rows, keyset
from ledgerkit.db.plain_rows import Table
from ledgerkit.rest.pagination import KeysetPagination


class SearchedPagination(KeysetPagination):
    def read_first(self, rows: Any, order: keyset.Order, number: int) -> tuple[Table, bool]:
        """Return the first rows in that order. Those with `q` are found as in the lists of the admin, and in the
        planner's way, however long that takes, if neither is in time."""
        read = partial(super().read_first, rows, order, number)
        if "q" not in self.request.query_params:
            return read()
        sort = partial(bounded_rows.read, rows.order_by(*without_index(order))[:number])
        return find_in_order(read, ways_of(rows.model)) or find_in_time(sort, limits.LIST_MS) or read()
