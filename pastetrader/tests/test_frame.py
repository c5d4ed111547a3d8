"""The frame of every page: its sections, its title, and no link that leads back to the same page."""

import re
from typing import Any

import pytest
from django.test import Client

from executions.tests.factories import WorkflowExecutionFactory
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(staff: Any) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def shown(page: Client, address: str) -> str:
    return page.get(address).content.decode()


def sections(html: str) -> list[str]:
    """Return the names of the sections in their order, those behind "More" after it."""
    nav = html.partition('class="site-nav"')[2].partition("</nav>")[0]
    return [text.strip() for text in re.findall(r"<(?:a|summary)[^>]*>([^<]+)<", nav)]


def heading(html: str) -> str:
    """Return the text of the page's h1."""
    found = re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)
    assert found
    return " ".join(re.sub("<[^>]+>", "", found[1]).split())


def test_the_sections_that_people_need_are_first_and_the_others_behind_more(page: Client) -> None:
    names = sections(shown(page, "/admin/"))
    first = ["Monitor", "Workflow executions", "Workflows", "Error groups", "Node executions", "More"]
    assert names[: len(first)] == first
    assert names[-2:] == ["Groups", "Users"]
    assert len(names) == len(set(names))


def test_a_section_from_behind_more_is_in_the_row_while_it_is_open(page: Client) -> None:
    names = sections(shown(page, "/admin/tokens/token/"))
    assert names[names.index("More") - 1] == "Tokens"
    assert names.count("Tokens") == 1


def test_only_sections_that_the_user_may_open_are_there(newcomer: Any) -> None:
    client = Client()
    client.force_login(newcomer)
    assert sections(shown(client, "/admin/password_change/")) in ([], ["Monitor"])


def test_no_link_leads_to_the_site_whose_page_it_is_on(page: Client) -> None:
    assert "View site" not in shown(page, "/admin/")


def test_the_title_of_a_page_is_the_name_of_what_it_shows(page: Client) -> None:
    workflow = WorkflowFactory(name="momentum")
    run = WorkflowExecutionFactory(workflow=workflow)
    assert heading(shown(page, f"/admin/executions/workflowexecution/{run.pk}/change/")).startswith("momentum 20")
    assert heading(shown(page, f"/admin/workflows/workflow/{workflow.pk}/")) == "momentum"
    assert heading(shown(page, f"/admin/workflows/workflow/{workflow.pk}/change/")) == "momentum"
    assert heading(shown(page, "/admin/workflows/workflow/add/")) == "Add workflow"


def test_what_is_not_there_is_one_dash_everywhere(page: Client) -> None:
    WorkflowFactory()
    html = shown(page, "/admin/workflows/workflow/?state=all")
    assert re.search(r'<td[^>]* class="field-deleted_at nowrap">–</td>', html)
    assert not re.search(r"<td[^>]*>-</td>", html)
