"""Script that test_wheel.py runs in the new project: record a run in process and by HTTP, open every admin page.

Called with a token and the code of docs/install.md that records a run."""

import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

sys.path[0] = os.getcwd()  # noqa: PTH109  # the project, not the folder of this file
os.environ["DJANGO_SETTINGS_MODULE"] = "host.settings"

import django  # noqa: E402  # the settings are named above

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  # after django.setup()
from django.contrib.auth.models import Group  # noqa: E402  # after django.setup()
from django.contrib.staticfiles import finders  # noqa: E402  # after django.setup()
from django.test import Client  # noqa: E402  # after django.setup()
from django.test.utils import setup_test_environment  # noqa: E402  # after django.setup()
from django.urls import reverse  # noqa: E402  # after django.setup()

import executions  # noqa: E402  # after django.setup()
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution  # noqa: E402  # after django.setup()
from workflows.models import Edge, Node, Workflow  # noqa: E402  # after django.setup()

User = get_user_model()
SECRET, IN_PROCESS = sys.argv[1:]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_words: Any) -> None:
        pass


def make_workflow(owner: Any) -> Workflow:
    workflow = Workflow.objects.create(name="Nightly import", owner=owner)
    first, second = (Node.objects.create(workflow=workflow, name=name, node_type="tool") for name in ("load", "check"))
    Edge.objects.create(workflow=workflow, source_node=first, target_node=second)
    return workflow


def record_in_process(workflow: Workflow) -> None:
    exec(IN_PROCESS, {"WorkflowExecution": WorkflowExecution, "workflow": workflow})  # ours
    assert WorkflowExecution.objects.get().status == "completed"
    run = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
    run.start()
    first, second = workflow.nodes.order_by("id")
    node = NodeExecution.objects.create(workflow_execution=run, node=first, execution_order=0)
    node.start()
    ExecutionLog.objects.create(workflow_execution=run, node_execution=node, level="info", message="password=hunter2")
    node.fail("no rows")
    NodeExecution.objects.create(workflow_execution=run, node=second, execution_order=1)
    run.fail("no rows")
    assert "hunter2" not in run.logs.get().message


def record_over_http(workflow: Workflow) -> None:
    from host.wsgi import application  # noqa: PLC0415  # the project's

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = f"http://127.0.0.1:{server.server_port}/api/v1/"
        run = call("POST", f"{api}executions/", {"workflow": str(workflow.pk), "trigger_type": "manual"})
        address = f"{api}executions/{run['id']}/"
        assert call("POST", f"{address}start/")["status"] == "running"
        node = call("POST", f"{address}nodes/", {"node": str(workflow.nodes.first().pk), "execution_order": 0})
        assert call("POST", f"{api}node-executions/{node['id']}/start/")["status"] == "running"
        assert call("POST", f"{api}node-executions/{node['id']}/complete/")["status"] == "completed"
        call("POST", f"{address}logs/", {"level": "info", "message": "three rows"})
        assert call("POST", f"{address}complete/")["status"] == "completed"
        assert call("POST", f"{address}start/", expected=409)["code"] == "invalid_transition"
        assert [line["message"] for line in call("GET", f"{address}logs/")["results"]] == ["three rows"]
        assert call("GET", f"{api}schema/", accept="application/vnd.oai.openapi+json")["openapi"].startswith("3.1")
        server.shutdown()


def call(method: str, address: str, body: Any = None, expected: int = 0, accept: str = "application/json") -> Any:
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json", "Accept": accept}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(address, method=method, data=data, headers=headers)) as response:  # ours
            assert not expected, response.status
            return json.load(response)
    except HTTPError as error:
        status, text = error.code, error.read().decode()
    assert status == expected, f"{method} {address}: {status} {text}"
    return json.loads(text)


def open_pages(user: Any) -> None:
    """Open every page of the admin that its index offers to the user."""
    client = Client()
    client.force_login(user)
    index = client.get(reverse("admin:index"))
    assert index.status_code == 200
    for address in addresses(index.context["available_apps"]):
        response = client.get(address)
        assert response.status_code == 200, f"{user}: {address}: {response.status_code}"
        check_assets(address, response.text)


def check_assets(address: str, page: str) -> None:
    """Check that every file that a page names is there, and that pages of the apps look as in the project."""
    missing = [name for name in re.findall(r'="/static/([^"]+)"', page) if not finders.find(name)]
    assert not missing, f"{address}: {missing}"
    if re.search("/admin/(executions|workflows|tokens)/[a-z]+/", address):
        assert "ledgerkit/admin.css" in page, address
        assert 'form="act-form"' not in page or 'id="act-form"' in page, address
        has_cells = '<td class="field-' in page and "/workflowexecution/" not in address
        assert not has_cells or "data-label=" in page, f"{address}: no labels for a phone"
        assert '<select name="action"' not in page, address


def addresses(apps: list[dict[str, Any]]) -> Iterator[str]:
    for each in (model for app in apps for model in app["models"]):
        yield from filter(None, (each["admin_url"], each["add_url"]))
        if each["model"]._meta.managed and (row := each["model"]._default_manager.first()):  # a view has no such pages
            yield reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        if each["model"] is WorkflowExecution:
            yield from pages_of_runs()


def pages_of_runs() -> Iterator[str]:
    run = WorkflowExecution.objects.get(status="failed")
    yield reverse("admin:executions_monitor")
    yield reverse("admin:workflows_workflow_page", args=[run.workflow_id])
    yield reverse("admin:workflows_workflow_history", args=[run.workflow_id])
    yield reverse("admin:executions_workflowexecution_change", args=[run.pk])
    yield reverse("admin:executions_logs", args=[run.pk])


def main() -> None:
    assert executions.__file__.startswith(sys.prefix), executions.__file__
    superuser = User.objects.get()
    workflow = make_workflow(superuser)
    record_in_process(workflow)
    record_over_http(workflow)
    setup_test_environment()  # so that a response has its context
    open_pages(superuser)
    for group in Group.objects.all():
        member = User.objects.create_user(group.name, is_staff=True)
        member.groups.add(group)
        open_pages(member)


main()
