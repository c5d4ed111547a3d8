"""Addresses of the API: Django tries the patterns one after another for each call."""

from uuid import UUID

import pytest
from django.urls import resolve

ID = UUID(int=1)


@pytest.mark.parametrize(
    ("address", "most"),
    [
        (f"node-executions/{ID}/start/", 11),
        (f"node-executions/{ID}/complete/", 6),
        (f"executions/{ID}/complete/", 13),
        (f"executions/{ID}/nodes/", 5),
        (f"executions/{ID}/logs/", 6),
        ("executions/", 6),
        ("events/", 5),
    ],
)
def test_calls_of_an_engine_try_few_patterns(address: str, most: int) -> None:
    assert len(resolve(f"/api/v1/{address}").tried or ()) <= most
