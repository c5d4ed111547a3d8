"""Count our functions that a request crosses: `python -m benches.call_counts [--list]`, shown by `make measure`.

Each request is sent in process through the whole ASGI application; the first ones are not counted. A function is a
code object of a file in this repository; a generator expression belongs to the function that holds it. The script
makes a database of its own beside the configured one and removes it.
"""

import argparse
import asyncio
import json
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from benches.ledger import COMPLETE, Ledger, scratch_database  # sets Django up
from benches.output import out

ROOT = Path(__file__).resolve().parent.parent
OTHERS = {".venv", "benches"}
WARM_UPS = 3
RUNS = 60

type Calls = Counter[tuple[str, int, str]]
type Send = Callable[..., Any]


class Walk:
    """Profiler that counts the calls of our functions in all threads."""

    def __init__(self) -> None:
        self.calls: Calls = Counter()

    def __enter__(self) -> "Walk":
        threading.setprofile_all_threads(self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        threading.setprofile_all_threads(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name != "<genexpr>" and (path := _path_of_ours(code.co_filename)):
            self.calls[path, code.co_firstlineno, code.co_qualname] += 1


@cache
def _path_of_ours(file: str) -> str | None:
    """Return the path in this repository, None for other files."""
    path = Path(file)
    is_ours = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] not in OTHERS
    return str(path.relative_to(ROOT)) if is_ours else None


def measure() -> dict[str, Calls]:
    ledger = Ledger(RUNS)
    token = {"authorization": f"Token {ledger.secret}", "content-type": "application/json"}
    staff = {"cookie": _session_cookie()}
    return asyncio.run(_measure(_requests(ledger, token, staff)))


def _requests(ledger: Ledger, token: Any, staff: Any) -> Iterable[tuple[str, str, str, dict[str, str], Any]]:
    """Yield title, method, address, headers and body; a request without title is not counted."""
    for _time in range(WARM_UPS):
        run = next(ledger.pending)
        yield "", "POST", f"/api/v1/executions/{run}/start/", token, {}
        yield "POST complete/", "POST", f"/api/v1/executions/{run}/complete/", token, COMPLETE
        yield "GET executions/", "GET", "/api/v1/executions/?page_size=50", token, None
        yield "page of the runs", "GET", "/admin/executions/workflowexecution/", staff, None


async def _measure(requests: Iterable[tuple[str, str, str, dict[str, str], Any]]) -> dict[str, Calls]:
    """Return the calls of the last request of each title."""
    counted: dict[str, Calls] = {}
    for title, method, address, headers, body in requests:
        with Walk() as walk:
            status, content = await send(method, address, headers, b"" if body is None else json.dumps(body).encode())
        if status != 200:
            raise SystemExit(f"{address}: {status} {content.decode()}")
        counted[title] = walk.calls
    counted.pop("")
    return counted


async def send(method: str, address: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Return status and body of a request to the ASGI application."""
    from pastetrader.asgi import application  # noqa: PLC0415  # its setup of the process is not for those who import this module

    path, _, query = address.partition("?")
    length = {"content-length": str(len(body))} if body else {}
    headers = {"host": "localhost", **length, **headers}
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    received = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return received.pop() if received else await asyncio.Future()  # the client does not disconnect

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, keep)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def _session_cookie() -> str:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def show(counted: dict[str, Calls], *, names_each: bool) -> None:
    for title, calls in counted.items():
        modules = {path for path, _line, _name in calls}
        out(f"{title:<18}{len(calls):>4} of our functions, {calls.total()} calls, {len(modules)} modules")
        if names_each:
            for (path, line, name), number in sorted(calls.items()):
                out(f"  {number:>4} {path}:{line} {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="name each function")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "No directory at")  # of static files, which are not needed here
    with scratch_database():
        show(measure(), names_each=options.list)


if __name__ == "__main__":
    main()
