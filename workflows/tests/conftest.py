from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from ledgerkit.tests.clients import client_of
from workflows.models import Node, Workflow
from workflows.tests.pages import Data, address, as_sent


@pytest.fixture
def client(staff: Any) -> Client:
    return client_of(staff)


@pytest.fixture
def page(client: Client, workflow: Workflow) -> Data:
    """Return what the form of the workflow sends, untouched."""
    return as_sent(client.get(address(workflow)))


@pytest.fixture
def node(workflow: Workflow) -> Callable[[str], Node]:
    """Return a function that finds a node of the workflow by its name."""
    return lambda name: workflow.nodes.get(name=name)
