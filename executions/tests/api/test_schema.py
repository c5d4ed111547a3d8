"""The API as OpenAPI: complete, true to what is answered, and as it stands in the repository."""

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone, translation
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.exceptions import Throttled
from rest_framework.test import APIClient

from alerts.models import Alert, Delivery
from alerts.tests.factories import rule_for, webhook
from executions.api.schema import examples
from executions.api.schema.generator import LedgerSchemaGenerator
from executions.live import reader
from executions.live.server_sent_events import POLL
from executions.models import ArchivedRun, ArchiveFile, ErrorFingerprint, ErrorGroup, ErrorOccurrence, WorkflowExecution
from executions.tests.api.recording import CANCELLED, DELETED, WORKFLOW, Recorder, play
from ledgerkit.path_prefix import path_prefix
from pastetrader.tests.live_server import ROOT
from tokens.models import Scope, Token
from workflows.api.views import WorkflowViewSet
from workflows.tests.factories import UserFactory

SCHEMA = ROOT / "schema.yaml"


def read_yaml(text: str) -> Any:
    """Read by libyaml where PyYAML has it: in a fifth of the time."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture(scope="module")
def document() -> Any:
    return read_yaml(SCHEMA.read_text())


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


@pytest.mark.slow
def test_schema_yaml_is_what_the_code_says() -> None:
    """`make schema` writes it anew."""
    written = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=written)
    assert written.getvalue() == SCHEMA.read_text(), "schema.yaml is out of date: run make schema"


def test_every_operation_has_an_id_a_summary_words_and_its_errors(document: Any) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) >= 32
    for path, method, operation in operations(document):
        assert operation["summary"]
        assert "A token needs the scope" in operation["description"]
        assert {"400", "401", "403", "406", "500", "503"} <= operation["responses"].keys()
        assert ("404" in operation["responses"]) == ("{" in path)
        assert ("409" in operation["responses"]) == (method != "get")


def test_every_parameter_has_a_description(document: Any) -> None:
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], (path, method, parameter["name"])


def by_test_client(client: Any) -> Any:
    def call(method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        kind = headers.pop("Content-Type", "application/json")
        text = "" if body is None else json.dumps(body)
        caller = APIClient() if "Authorization" in headers else client
        answer = caller.generic(method, f"/api/v1/{path}", text, content_type=kind, headers=headers)
        told = answer.content.decode() if answer.get("Content-Type") == "text/event-stream" else None
        told = told and told.removesuffix(POLL.decode())  # this client speaks WSGI
        return answer.status_code, told or (answer.json() if answer.content else None), dict(answer.items())

    return call


def raising(error: Exception) -> Callable[..., Any]:
    def fail(_self: Any) -> Any:
        raise error

    return fail


def record_alerts(record: Recorder, owner: Any) -> None:
    """Record a message, which no call makes."""
    channel = webhook(owner=owner)
    rule = rule_for("failure", channel=channel, owner=owner)
    facts = {"sentence": "A run failed."}
    alert = Alert.objects.create(
        rule=rule, kind="failure", occurrence="once", workflow_id=WORKFLOW, facts=facts, state="sent"
    )
    answer = {"tries": 9, "answer": 503, "error": "The receiver answered 503.", "tried_at": timezone.now()}
    row = Delivery.objects.create(
        alert=alert, channel=channel, body='{"type": "alert.failure"}', state="given_up", **answer
    )
    record("listAlertDeliveries", "given up", "GET", f"alerts/deliveries/?channel={channel.pk}&state=given_up")
    record("sendAlertDeliveryAgain", "waiting", "POST", f"alerts/deliveries/{row.pk}/send-again/")


def record_error_groups(record: Recorder) -> None:
    """Record what is done with groups of errors, which no call makes."""
    seen = {"first_seen": timezone.now(), "last_seen": timezone.now()}
    group, other = (ErrorGroup.objects.create(title=f"KeyError: {name}", **seen) for name in ("“…”", "close"))
    for each, digest in ((group, "a"), (other, "b")):
        fingerprint = ErrorFingerprint.objects.create(
            group=each, workflow_id=WORKFLOW, digest=digest, rule="message", title=each.title,
            values={"exception": "KeyError", "message": "“…”"}, **seen,
        )  # fmt: skip
    run = WorkflowExecution.objects.filter(workflow=WORKFLOW, node_executions__isnull=False).order_by("pk").first()
    ErrorOccurrence.objects.create(
        fingerprint=fingerprint, workflow_execution=run, node_execution=run.node_executions.order_by("pk").first(),
        node_name="load", attempt=1, happened_at=timezone.now(),
    )  # fmt: skip
    address = f"error-groups/{group.pk}/"
    record("listErrorGroups", "open", "GET", "error-groups/?state=open")
    record("changeErrorGroup", "acknowledged", "PATCH", address, {"state": "acknowledged", "reason": "I look at it."})
    record("noteErrorGroup", "note", "POST", f"{address}notes/", {"text": "The vendor renamed a column."})
    record("mergeErrorGroups", "one other", "POST", f"{address}merge/", {"groups": [str(other.pk)]})
    record("getErrorGroup", "merged", "GET", address)
    record("listErrorOccurrences", "page", "GET", f"{address}occurrences/")
    record("splitErrorGroup", "again", "POST", f"{address}split/", {"fingerprints": [str(fingerprint.pk)]})
    record("listErrorGroupHistory", "page", "GET", f"{address}history/")


@pytest.fixture
def exchanges(api: Callable[..., Any], owner: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(reader, "LINGER", timedelta(hours=1))  # however slow the machine is: no stream says its end yet
    record = Recorder(by_test_client(api(owner)))
    play(record)
    name = "runs-2026-11-20.0001.ndjson.zst"
    file = ArchiveFile(name=name, kind="runs", day="2026-11-20", size=0, run_count=1, row_count=1)
    file.save()
    archived = ArchivedRun(
        workflow_execution_id=DELETED, version=1, file=file, workflow_id=WORKFLOW, made_at=timezone.now()
    )
    archived.save()
    record("getExecution", "", "GET", f"executions/{DELETED}/")
    record_alerts(record, owner)
    record_error_groups(record)
    record.call = by_test_client(api(UserFactory(is_staff=True, is_superuser=True)))
    record("listActivity", "of a run", "GET", f"executions/activity/?workflow_execution={CANCELLED}&page_size=1")
    record.call = by_test_client(api(owner, scopes=[Scope.EXECUTIONS_READ]))
    record("createWorkflow", "", "POST", "workflows/", {"name": "Prices"})
    client = api(owner)
    client.raise_request_exception = False  # the last of these is a fault of ours
    record.call = by_test_client(client)
    with translation.override("en"):  # an error is translated where it is made, which is here outside of any request
        throttled = Throttled(wait=7)
    for error in (throttled, OperationalError("canceling statement due to statement timeout"), RuntimeError()):
        with monkeypatch.context() as patch:
            patch.setattr(WorkflowViewSet, "get_queryset", raising(error))
            record("listWorkflows", "", "GET", "workflows/")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    record("createWorkflow", "", "POST", "workflows/", {"name": "Prices"})
    return record.exchanges()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)  # streams tell of what is committed
def test_the_examples_are_what_the_api_answers(exchanges: Any) -> None:
    """`make examples` records them anew."""
    if os.environ.get("RECORD_EXAMPLES"):
        examples.FILE.write_text(json.dumps(exchanges, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(examples.FILE.read_text()) == exchanges


@pytest.mark.slow
def test_every_success_with_a_body_and_every_kind_of_error_has_an_example(document: Any) -> None:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if "content" in answer:
                (content,) = answer["content"].values()
                assert content.get("examples"), (operation["operationId"], status)
    for name, response in document["components"]["responses"].items():
        assert response["content"]["application/problem+json"]["examples"], name


def contents(document: Any) -> Iterator[tuple[str, Any]]:
    for _, _, operation in operations(document):
        name = operation["operationId"]
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield f"{name} request", content
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                yield f"{name} {status}", content
    for name, response in document["components"]["responses"].items():
        yield name, response["content"]["application/problem+json"]


def test_every_example_is_valid_by_its_schema(document: Any) -> None:
    for place, content in contents(document):
        schema = content["schema"] | {"components": document["components"]}
        checked = Draft202012Validator(schema, format_checker=FormatChecker())
        for name, example in content.get("examples", {}).items():
            faults = [error.message for error in checked.iter_errors(example["value"])]
            assert not faults, (place, name, faults)


@pytest.mark.slow
def test_anybody_may_read_the_schema_and_it_is_the_one_of_the_repository(client: Any, document: Any) -> None:
    answer = client.get("/api/v1/schema/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/vnd.oai.openapi")
    assert answer.content.decode() == SCHEMA.read_text()
    assert client.get("/api/v1/schema/", headers={"Accept": "application/json"}).json() == document
    indented = client.get("/api/v1/schema/", headers={"Accept": "application/json; indent=4"})
    assert (indented.json(), indented["Content-Type"]) == (document, "application/json"), "not as the client writes it"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["application/json", "application/yaml"])
def test_the_schema_is_made_once_and_names_the_prefix_of_each_request(
    client: Any, document: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/api/v1/schema/", headers={"Accept": kind})
    monkeypatch.setattr(LedgerSchemaGenerator, "get_schema", None)
    for prefix in ("/ledger", "/my/ledger"):
        with path_prefix(prefix):
            answer = client.get("/api/v1/schema/", headers={"Accept": kind})
        assert read_yaml(answer.text) == document | {"servers": [{"url": prefix}]}
    assert read_yaml(client.get("/api/v1/schema/", headers={"Accept": kind}).text) == document


def test_the_docs_take_scripts_and_styles_from_us_alone(client: Any) -> None:
    answer = client.get("/api/v1/docs/", headers={"Accept": "text/html"})
    page, policy = answer.content.decode(), answer["Content-Security-Policy"]
    sources = re.findall(r'(?:src|href|data-schema)="([^"]*)"', page)
    assert len(sources) >= 6
    assert all(source.startswith(("/static/", "/api/v1/schema/")) for source in sources)
    assert all(finders.find(source.removeprefix("/static/")) for source in sources if source.startswith("/static/"))
    assert not re.findall(r"<style|<script>|\son\w+=|\sstyle=", page)
    assert {"default-src 'self'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"} <= set(
        policy.split("; ")
    )


@pytest.mark.parametrize("page", ["schema", "docs"])
def test_what_the_schema_and_the_docs_refuse_is_a_problem_too(client: Any, page: str) -> None:
    for answer in (client.post(f"/api/v1/{page}/"), client.get(f"/api/v1/{page}/", headers={"Accept": "image/png"})):
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code in {405, 406}


@pytest.mark.parametrize("word", ["Token", "Bearer", "bearer"])
def test_a_token_is_understood_in_the_words_of_clients(owner: Any, word: str) -> None:
    _row, secret = Token.objects.issue(user=owner, name="test", scopes=list(Scope.values))
    answer = APIClient().get("/api/v1/executions/", headers={"Authorization": f"{word} {secret}"})
    assert answer.status_code == 200
    refused = APIClient().get("/api/v1/executions/", headers={"Authorization": f"{word} {secret}x"})
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Token")
