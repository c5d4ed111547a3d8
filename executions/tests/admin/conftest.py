"""A browser in which `staff` is logged in."""

from typing import Any

import pytest
from django.test import Client

from ledgerkit.tests.clients import client_of


@pytest.fixture
def client(staff: Any) -> Client:
    return client_of(staff)
