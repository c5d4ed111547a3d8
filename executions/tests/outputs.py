"""Outputs of the ledger: responses of all addresses of the API and the admin, and dumps."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import get_resolver

from alerts.models import Channel, Rule
from executions.models import BulkAction, ErrorGroup, NodeExecution, WorkflowExecution
from executions.tests.api.fixtures import period
from executions.tests.api.matrix import API, find_operations, views
from ledgerkit.tests.clients import client_of
from local_postgres.cluster import program
from workflows.models import Workflow

OF_NOUN = {
    "executions/actions": BulkAction,  # before that of the runs
    "workflows": Workflow, "executions": WorkflowExecution, "node-executions": NodeExecution,
    "error-groups": ErrorGroup, "alerts/rules": Rule, "alerts/channels": Channel,
}  # fmt: skip
ATTEMPTS = 3


def answers(client: Any) -> Iterator[str]:
    """Yield the response to every GET of the API, for every row."""
    for url in _api_urls():
        answer = client.get(url)
        assert answer.status_code in ({200, 404} if "/attempts/" in url else {200}), (url, answer.content)
        yield f"{url} {answer.headers} {answer.content.decode()}"


def _api_urls() -> Iterator[str]:
    for row in find_operations():
        method, address = row.split()
        if method != "GET" or "{address}" in address:
            continue
        url = API + address.removeprefix("/") + (period() if address == "logs/" else "")
        for filled in _with_ids(url, next((OF_NOUN[noun] for noun in OF_NOUN if address.startswith(f"{noun}/")), None)):
            yield filled
            if re.fullmatch(f"{API}executions/[^/]+-[^/]+/", filled):  # not the stream of all
                yield f"{filled}?expand=nodes,logs"


def _with_ids(url: str, model: Any) -> Iterator[str]:
    for id in model._base_manager.values_list("pk", flat=True) if "{id}" in url else [""]:
        for number in range(1, ATTEMPTS + 1) if "{number}" in url else [0]:
            yield url.replace("{id}", str(id)).replace("{number}", str(number))


def pages(user: Any) -> Iterator[str]:
    """Yield the response to every GET of the admin, for every row: lists, pages, histories, confirmations."""
    client = client_of(user)
    for url, answer in visit(client, sorted(_admin_urls())):
        assert answer.status_code < 500, url
        yield f"{url} {answer.headers} {answer.content.decode()}"


def visit(client: Client, urls: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the response to each address, and to each that one of them leads to, once: many lead to the same list."""
    waiting, seen = list(urls), set[str]()
    for url in waiting:  # which grows
        if url in seen:
            continue
        seen.add(url)
        yield url, (answer := client.get(url))
        if answer.status_code in {301, 302}:
            waiting.append(urldefrag(urljoin(url, answer["Location"])).url)


def _admin_urls() -> Iterator[str]:
    for address, view in views(get_resolver().url_patterns, ""):
        if not address.startswith("admin/") or "logout" in address or "password" in address:
            continue
        model_admin = getattr(view, "model_admin", None)
        if address.endswith(("<path:object_id>/", "<path:object_id>/change/", "/history/", "/delete/")) and model_admin:
            for pk in model_admin.model._base_manager.values_list("pk", flat=True):
                yield "/" + address.replace("<path:object_id>", str(pk))
        elif not re.search(r"[<(\\]", address):
            yield f"/{address}"


def tables() -> list[str]:
    """Return every column of every table as text."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text || ' ' || to_json(t)::text FROM {table} AS t")
            found += [text for (text,) in cursor.fetchall()]
    return found


def database_log() -> list[str]:
    """Return the log of the embedded server; another server's log is not read."""
    embedded = connection.settings_dict.get("EMBEDDED")
    return (embedded["data_dir"] / "server.log").read_text().splitlines() if embedded else []


def dump() -> str:
    """Return a dump by a pg_dump no older than the server, or else every table by COPY."""
    found = next((path for path in _pg_dumps() if _version(path) >= connection.pg_version // 10_000), None)
    return _pg_dump(found) if found else copy_tables()


def _pg_dumps() -> Iterator[str]:
    yield from filter(None, [shutil.which("pg_dump"), program("pg_dump")])
    yield from map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))


def _version(path: str) -> int:
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    return int(re.findall(r"(\d+)[.\w]*", said)[0])


def _pg_dump(path: str) -> str:
    settings = connection.settings_dict
    options = {"--host": settings["HOST"], "--port": settings["PORT"], "--username": settings["USER"]}
    named = [f"{name}={value}" for name, value in options.items() if value]
    password = {"PGPASSWORD": settings["PASSWORD"]} if settings.get("PASSWORD") else {}
    command = [path, "--inserts", *named, settings["NAME"]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=password | {"LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_tables() -> str:
    names = [model._meta.db_table for model in apps.get_models(include_auto_created=True)]
    lines = []
    with connection.cursor() as cursor:
        for name in names:
            with cursor.copy(f"COPY (SELECT * FROM {connection.ops.quote_name(name)}) TO STDOUT") as rows:
                lines += [bytes(row).decode() for row in rows]
    return "".join(lines)
