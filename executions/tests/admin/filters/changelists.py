"""Rows of the changelist in a response."""

from typing import Any


def pks(cl: Any) -> list[Any]:
    return [row.pk for row in cl.result_list]
