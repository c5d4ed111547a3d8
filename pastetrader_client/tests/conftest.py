from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastetrader_client import Client
from pastetrader_client.tests.ledger import ledger_client


@pytest.fixture
def connect(transactional_db: None, owner: Any) -> Iterator[Callable[..., Client]]:
    """Return a function that makes a client of the ledger; all are closed after the test."""
    clients: list[Client] = []

    def make(user: Any = None, **options: Any) -> Client:
        clients.append(ledger_client(user or owner, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client_of_ledger(connect: Callable[..., Client]) -> Client:
    return connect()
