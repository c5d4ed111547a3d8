"""A status is a shape, a word and a colour, the same on every page."""

import pytest
from django.contrib.staticfiles import finders

from executions.admin import statuses
from executions.models import ExecutionStatus, WorkflowExecution

STATUSES = list(ExecutionStatus)


def html_of(status: str) -> str:
    return statuses.row_badge(WorkflowExecution(status=status))


def icon(status: str) -> str:
    return html_of(status).partition("<svg")[2].partition("</svg>")[0].partition(">")[2]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_said_in_a_word_and_its_icon_is_hidden_from_those_who_hear_the_page(status: str) -> None:
    assert str(ExecutionStatus(status).label) in html_of(status).rpartition("</svg>")[2]
    assert 'aria-hidden="true"' in html_of(status)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_has_a_picture_for_the_tab(status: str) -> None:
    assert finders.find(f"executions/status_{status}.svg")


def test_every_status_has_a_shape_of_its_own() -> None:
    shapes = [icon(status) for status in STATUSES]
    assert all(shapes)
    assert len(set(shapes)) == len(STATUSES)
