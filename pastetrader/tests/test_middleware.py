from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.test import RequestFactory
from psycopg_pool import PoolTimeout

from pastetrader.middleware import BusyDatabase


@pytest.mark.parametrize("path", ["/admin/?q=%00", "/admin/r/6/%00/", "/api/v1/executions/?cursor=%00", "/%00"])
def test_a_nul_in_an_address_is_400(client: Any, path: str) -> None:
    assert client.get(path).status_code == 400


def test_a_nul_in_a_cookie_is_400(client: Any) -> None:
    client.cookies["pastetrader_session"] = "\x00" + "a" * 31
    assert client.get("/admin/").status_code == 400


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/executions/", "application/problem+json"), ("/admin/", "text/plain; charset=utf-8")]
)
def test_who_waited_too_long_for_a_connection_is_told_to_come_back(path: str, kind: str) -> None:
    error = OperationalError("couldn't get a connection")
    error.__cause__ = PoolTimeout()
    answer: Any = BusyDatabase(Mock()).process_exception(RequestFactory().get(path), error)
    assert (answer.status_code, answer["Retry-After"], answer["Content-Type"]) == (503, "5", kind)
