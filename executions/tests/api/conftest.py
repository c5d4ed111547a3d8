"""Fixtures of the tests of the API."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from executions.tests.api.fixtures import World


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Yield the rows of all tests of a module, each of which works in a savepoint."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield World()
        transaction.set_rollback(True)
