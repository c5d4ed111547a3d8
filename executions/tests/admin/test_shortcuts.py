"""The keys of a page: the list of them and the module that binds them are on every page that somebody works with."""

import re
from typing import Any

import pytest
from django.test import Client

from executions.tests.factories import NodeExecutionFactory

MODULE = '<script type="module" src="/static/ledgerkit/shortcuts.js">'


def page(user: Any, address: str) -> str:
    client = Client()
    if user:
        client.force_login(user)
    return client.get(address).content.decode()


@pytest.mark.parametrize(
    "address",
    [
        "/admin/",
        "/admin/executions/workflowexecution/",
        "/admin/executions/workflowexecution/{run}/change/",
        "/admin/executions/nodeexecution/",
        "/admin/workflows/workflow/{workflow}/change/",
    ],
)
def test_every_page_lists_its_keys_and_says_that_it_has_some(staff: Any, address: str) -> None:
    node = NodeExecutionFactory()
    run = node.workflow_execution
    html = page(staff, address.format(run=run.pk, workflow=run.workflow_id))
    assert html.count(MODULE) == 1
    assert html.count('<dialog class="keys"') == 1
    assert re.search(r"<button [^>]*data-keys [^>]*>", html)


def test_the_words_of_the_keys_are_in_the_page_where_they_are_translated(staff: Any) -> None:
    html = page(staff, "/admin/")
    for words in ("search", "next", "previous", "open", "help"):
        assert re.search(rf'<dialog [^>]*data-{words}="[A-Z]', html)


def test_the_keys_can_be_turned_off(staff: Any) -> None:
    assert '<input type="checkbox" data-switch>' in page(staff, "/admin/")


@pytest.mark.parametrize("address", ["/admin/login/", "/admin/workflows/workflow/?_popup=1"])
def test_a_login_and_a_popup_have_none(staff: Any, address: str) -> None:
    html = page(None if "login" in address else staff, address)
    assert MODULE not in html
    assert 'class="keys"' not in html


def test_the_rows_between_which_one_moves_are_marked(staff: Any) -> None:
    run = NodeExecutionFactory().workflow_execution
    assert page(staff, f"/admin/executions/workflowexecution/{run.pk}/change/").count("<tr id=") == 1
    assert "data-row>" in page(staff, f"/admin/executions/workflowexecution/{run.pk}/change/")
    assert "<tr data-row>" in page(staff, "/admin/")  # it waits


@pytest.mark.parametrize("address", ["/admin/", "/admin/executions/workflowexecution/", "/admin/tokens/token/add/"])
def test_a_project_without_a_base_page_of_its_own_has_the_keys_too(staff: Any, address: str, settings: Any) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    html = page(staff, address)
    assert "keys-hint" not in html
    assert (html.count(MODULE), html.count('<dialog class="keys"')) == (1, 1)
