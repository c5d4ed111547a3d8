"""A member of the staff."""

from typing import Any

import pytest

from workflows.tests.factories import UserFactory


@pytest.fixture
def ann(db: None) -> Any:
    return UserFactory(username="ann", is_staff=True)
