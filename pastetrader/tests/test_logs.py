"""Requests that are refused, in the server's log."""

import io
import json
import logging
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from executions.secrets.scrubber import MASK
from pastetrader.log_format import JSONFormatter, clear_path
from pastetrader.readiness import readiness

RUNS = "/admin/executions/workflowexecution/"


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
    assert clear_path("/ledger/static/admin/css/base.css") == f"/{MASK}/static/admin/css/base.css"
    assert clear_path("/None/") == f"/{MASK}/", "a site without a prefix"
    assert client.get("/static/executions/connection_notice.0123456789ab.js").status_code == 404
    assert "Not Found: /static/executions/connection_notice.0123456789ab.js" in log.getvalue()


def test_a_line_of_a_request_ends_with_its_id(staff: Client, log: io.StringIO) -> None:
    response = staff.get("/nowhere/", headers={"X-Request-ID": "proxy-7"})
    assert response["X-Request-ID"] == "proxy-7"
    assert log.getvalue().endswith(" WARNING django.request: Not Found: /***masked***/ [proxy-7]\n")


def test_a_line_masks_words_in_any_script(staff: Client, log: io.StringIO) -> None:
    staff.get("/비밀/x%0Ay/")
    assert f"Not Found: /{MASK}/{MASK}/ [" in log.getvalue()


def test_a_request_that_is_refused_before_a_view_has_an_id_too(client: Client, log: io.StringIO) -> None:
    response = client.get("/admin/login/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert log.getvalue().endswith(f" [{response['X-Request-ID']}]\n")


def test_a_probe_that_fails_writes_no_line_each_time(
    db: None, client: Client, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "failed_checks", lambda: frozenset({"upkeep"}))
    assert client.get("/readyz").status_code == 503
    assert log.getvalue() == ""


@pytest.fixture
def json_log(log: io.StringIO) -> Iterator[io.StringIO]:
    handler: Any = logging.getHandlerByName("stderr")
    before = handler.formatter
    handler.setFormatter(JSONFormatter())
    yield log
    handler.setFormatter(before)


def test_json_lines_say_the_same(staff: Client, json_log: io.StringIO) -> None:
    staff.get("/hunter2/", headers={"X-Request-ID": "proxy-8"})
    line = json.loads(json_log.getvalue())
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "WARNING", "logger": "django.request", "message": "Not Found: /***masked***/",
        "request_id": "proxy-8", "status": 404, "process": os.getpid(),
    }  # fmt: skip


def test_a_traceback_is_one_member_of_a_json_line(json_log: io.StringIO) -> None:
    try:
        raise ValueError("why\nnot")
    except ValueError:
        logging.getLogger("pastetrader").exception("It broke.")
    [line] = json_log.getvalue().splitlines()
    found = json.loads(line)
    assert found["message"] == "It broke."
    assert found["exception"].endswith("ValueError: why\nnot")
    assert "request_id" not in found
