"""Requests that are refused, in the server's log."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from executions.secrets.scrubber import MASK
from pastetrader.log_format import clear_path

RUNS = "/admin/executions/workflowexecution/"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Yield the text that the handler of the settings writes to stderr."""
    handler: Any = logging.getHandlerByName("stderr")
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("log"))
    return client


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("get", "/admin/?q=%00", {}),
        ("get", "/admin/login/", {"headers": {"Host": "evil.example"}}),
        ("get", "/admin/login/?" + "a&" * 2_000, {}),
        ("get", f"{RUNS}?_to_field=x", {}),
        ("post", "/admin/login/", {"data": "x", "content_type": "multipart/form-data"}),
    ],
    ids=["nul", "host", "fields", "to_field", "multipart"],
)
def test_what_a_client_does_wrong_leaves_no_traceback(
    staff: Client, log: io.StringIO, method: str, path: str, more: dict[str, Any]
) -> None:
    assert getattr(staff, method)(path, **more).status_code == 400
    assert log.getvalue().count("\n") == 1, log.getvalue()


def test_whoever_may_not_leaves_no_traceback(db: None, log: io.StringIO) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("low", is_staff=True))
    assert client.get(RUNS).status_code == 403
    assert "Forbidden" in log.getvalue()
    assert "Traceback" not in log.getvalue()


def test_a_failure_of_ours_keeps_its_traceback(log: io.StringIO) -> None:
    for more in ({"status_code": 500}, {}):
        logging.getLogger("django.request").error("broken", exc_info=ValueError("why"), extra=more)
    assert log.getvalue().count("ValueError: why") == 2


def test_addresses_of_static_files_show_the_names_of_our_files(log: io.StringIO, client: Client) -> None:
    for path in (
        "/static/executions/connection_notice.js",
        "/static/executions/connection_notice.0123456789ab.js",
        "/static/admin/css/base.css",
    ):
        assert clear_path(path) == path
    assert clear_path("/static/executions/hunter2.js") == f"/static/executions/{MASK}"
    assert clear_path("/connection_notice.js") == f"/{MASK}"
    assert client.get("/static/executions/connection_notice.0123456789ab.js").status_code == 404
    assert "Not Found: /static/executions/connection_notice.0123456789ab.js" in log.getvalue()
