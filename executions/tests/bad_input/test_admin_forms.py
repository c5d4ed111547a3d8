"""Bad texts in each form and each filter of the admin: an error beside the field, or stored and shown inertly."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions.models import ErrorGroup
from executions.tests.admin.runs.test_actions import NODES, RUNS
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from pastetrader.tests.proofs import LONG
from workflows.models import Workflow
from workflows.tests.pages import address, as_sent

from .inputs import TEXTS
from .test_stored_texts import ActiveContent

pytestmark = pytest.mark.django_db
SOME = list(TEXTS.items()) if LONG else list(TEXTS.items())[::4]
LINES, GROUPS = "/admin/executions/executionlog/", "/admin/executions/errorgroup/"
FILTERS = (
    "q", "status", "workflow", "workflow__id__exact", "trigger_type", "started", "ended", "older", "newer", "p", "o",
    "view", "all", "level", "node", "attempt", "tag", "context", "compare", "digest", "e", "find", "_popup",
    "_to_field", "_facets", "cursor", "__proto__", "status__in", "id__regex",
)  # fmt: skip


@pytest.fixture
def client(staff: Any) -> Client:
    made: Client = client_of(staff)
    made.raise_request_exception = False
    return made


def post(client: Client, path: str, data: dict[str, Any], **options: bool) -> Any:
    """Send a form as a program may: also with bytes that are no UTF-8."""
    body = urlencode({name: encoded(value) for name, value in data.items()}, doseq=True)
    return client.post(path, body, content_type="application/x-www-form-urlencoded", **options)


def encoded(value: Any) -> Any:
    return value.encode(errors="surrogatepass") if isinstance(value, str) else value


def check(response: Any, *said: object) -> None:
    assert response.status_code in {200, 302, 400, 403, 404}, (response.status_code, said)
    if response.status_code == 200 and not response.streaming:
        assert ActiveContent(response.content.decode()).found == [], said


@pytest.mark.slow
def test_the_form_of_a_workflow(client: Client, workflow: Workflow) -> None:
    form = as_sent(client.get(address(workflow)))
    for number, (name, text) in enumerate(SOME):
        fields = list(form)
        for field in fields if LONG else [fields[number % len(fields)]]:
            check(post(client, address(workflow), form | {field: text}, follow=True), field, name)


@pytest.mark.slow
def test_the_form_of_a_token_and_its_name(client: Client, staff: Any) -> None:
    for name, text in SOME:
        data = {"name": text, "user": str(staff.pk), "scopes": ["executions:read"], "expires_at_0": text[:50]}
        check(post(client, "/admin/tokens/token/add/", data, follow=True), name)


@pytest.mark.slow
def test_reasons_of_actions(client: Client) -> None:
    node = in_state(NodeExecutionFactory(), "pending")
    run = node.workflow_execution
    for name, text in SOME[::2]:
        for path, action, row in ((RUNS, "cancel", run), (RUNS, "keep", run), (NODES, "skip", node)):
            check(post(client, path, {"action": action, "_selected_action": row.pk, "reason": text}), action, name)
        check(post(client, RUNS, {"action": text, "_selected_action": text}, follow=True), name)
    for name, text in SOME:
        kept = {"action": "keep", "_selected_action": run.pk, "reason": text, "confirmed": "yes"}
        check(post(client, RUNS, kept, follow=True), name)


@pytest.mark.slow
def test_notes_on_a_run(client: Client) -> None:
    page = f"{RUNS}{WorkflowExecutionFactory().pk}/"
    address = f"{page}notes/"
    check(post(client, address, {"text": "first"}))
    for name, text in SOME:
        check(post(client, address, {"text": text}), name)
        check(post(client, f"{address}1/", {"text-1": text, "act": text}), name)
    check(client.get(f"{page}change/"))


@pytest.mark.slow
def test_actions_for_all_that_match(client: Client) -> None:
    run = WorkflowExecutionFactory()
    for number, (name, text) in enumerate(SOME):
        address = f"{RUNS}bulk/{('cancel', 'retry', 'delete')[number % 3]}/"
        good = {"confirmed": "yes", "reason": "wrong feed", "until": "2020-01-01T00:00:00Z", "number": "1", "id": ""}
        field = list(good)[number % len(good)]
        check(post(client, f"{address}?trigger_type=manual", good | {field: text}), field, name)
        field = FILTERS[number % len(FILTERS)]
        check(client.get(f"{address}?{urlencode({field: encoded(text[:2000])})}"), field, name)
    check(client.get(f"{RUNS}{run.pk}/change/"))


@pytest.mark.slow
def test_forms_of_a_group_of_errors(client: Client) -> None:
    group = ErrorGroup.objects.create(title="no prices", first_seen=timezone.now(), last_seen=timezone.now())
    page = f"{GROUPS}{group.pk}/"
    good = {"state": "open", "muted_until": "", "reason": "", "assignee": ""}
    for number, (name, text) in enumerate(SOME):
        field = [*good, "version"][number % 5]
        group.refresh_from_db()
        sent = good | {"version": str(group.version), field: text}
        check(post(client, f"{page}change-state/", sent), field, name)
        check(post(client, f"{page}note/", {"text": text}), name)
        check(post(client, f"{page}split/", {"fingerprint": text, "reason": text}), name)
        check(post(client, GROUPS, {"action": "merge", "_selected_action": text, "reason": text}), name)
    check(client.get(f"{page}change/"))


def test_names_and_filters_of_saved_views(client: Client) -> None:
    for name, text in SOME:
        check(post(client, reverse("admin:executions_savedview_add"), {"new-name": text, "filters": text}), name)
        post(client, reverse("admin:executions_savedview_add"), {"new-name": text, "filters": "status=failed"})
    check(client.get(RUNS))


PATHS = (RUNS, NODES, LINES, "/admin/workflows/workflow/", f"{RUNS}{{run}}/change/", f"{RUNS}{{run}}/logs/")


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_filters_in_the_address(client: Client, path: str) -> None:
    address = path.replace("{run}", str(WorkflowExecutionFactory().pk))
    texts = list(TEXTS.items())
    for number, (name, text) in enumerate(texts if LONG else texts[PATHS.index(path) :: len(PATHS)]):
        for field in FILTERS if LONG else [FILTERS[number % len(FILTERS)]]:
            query = urlencode({field: encoded(text[:4000])})
            check(client.get(f"{address}?{query}", follow=True), field, name)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS[:4])
def test_a_parameter_that_a_list_does_not_have_ends_in_a_page(client: Client, path: str) -> None:
    for field in FILTERS:
        check(client.get(f"{path}?{field}=x", follow=True), field)


def test_logging_in(db: None, settings: Any) -> None:
    client = Client(raise_request_exception=False)
    for name, text in SOME:
        cache.clear()
        check(post(client, "/admin/login/", {"username": text, "password": text, "next": text}), name)
        check(client.get(f"/admin/login/?{urlencode({'next': encoded(text[:2000])})}"), name)
