"""The connections of all processes together fit into those that the database allows."""

from itertools import product
from typing import Any

import pytest
from django.db import connection

from pastetrader.management.commands import serve
from pastetrader.pool_size import fit, limit_pools


@pytest.mark.parametrize(
    ("workers", "allowed", "expected"),
    [
        (1, 100, (1, 8)), (2, 100, (2, 8)), (16, 100, (16, 4)), (50, 100, (20, 3)), (128, 100, (20, 3)),
        (1, 20, (1, 8)), (2, 20, (2, 7)), (16, 20, (4, 3)), (50, 20, (4, 3)), (128, 20, (4, 3)),
        (1, 500, (1, 8)), (2, 500, (2, 8)), (16, 500, (16, 8)), (50, 500, (50, 8)), (128, 500, (120, 3)),
        (4, 3, (1, 2)), (4, 1, (1, 1)),
    ],
)  # fmt: skip
def test_fewer_connections_give_smaller_pools_and_then_fewer_processes(
    workers: int, allowed: int, expected: tuple[int, int]
) -> None:
    assert fit(workers, 8, allowed) == expected


def test_no_more_connections_are_opened_than_there_are() -> None:
    for workers, pool, allowed in product((1, 2, 3, 16, 50, 64, 128), (1, 2, 8, 60), (2, 3, 5, 20, 97, 100, 500)):
        fitting, size = fit(workers, pool, allowed)
        assert 1 <= fitting <= workers
        assert 1 <= size <= pool
        assert fitting * (size + 1) <= allowed


def test_too_few_connections_of_the_database_are_one_sentence(settings: Any) -> None:
    def limit(workers: int, allowed: int, size: int) -> tuple[int, str]:
        settings.POOL = {"min_size": 1, "max_size": size}
        return limit_pools(workers, allowed)

    assert limit(2, 100, 8) == (2, "")
    assert limit(2, 100, 60) == (2, "The database allows 100 connections: each of 2 processes opens 39 at most.")
    assert limit(1, 20, 60) == (1, "The database allows 20 connections: the server opens 15 at most.")
    assert limit(16, 20, 8) == (
        4, "The database allows 20 connections: 4 of 16 processes start, each opens 3 at most.",
    )  # fmt: skip
    assert settings.POOL == {"min_size": 1, "max_size": 3}


@pytest.mark.django_db
def test_what_is_kept_for_superusers_is_not_allowed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        assert 0 < serve._allowed_connections() < int(cursor.fetchone()[0])
