from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pastetrader_client import Client
from pastetrader_client.tests.ledger import ledger_client
from pastetrader_client.tests.stub import Stub, stub_ledger
from pastetrader_client.tests.waiting import PatientClient


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


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stub_ledger() as server:
        yield server


@pytest.fixture
def away() -> str:
    """Return the address of a server that is not there."""
    with stub_ledger() as server:
        return server.url


@pytest.fixture
def client_of(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Return a function that makes a client of an address; all are closed after the test."""
    clients: list[Client] = []

    def make(url: str, **options: Any) -> Client:
        clients.append(PatientClient(url, "token", **{"spool": tmp_path, "name": "test", "sigterm": False, **options}))
        return clients[-1]

    yield make
    for client in clients:
        client.close(0)
