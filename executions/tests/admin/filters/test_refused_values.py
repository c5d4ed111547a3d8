"""Values that a filter does not accept: the page says which it accepts, and leads to the list without it."""

from html import unescape

import pytest
from django.test import Client
from django.utils.translation import override

from executions.admin.filters.time_filters import parse_duration
from executions.admin.formatting import format_duration
from executions.tests.factories import WorkflowExecutionFactory

RUNS, NODES, LINES, ACTIVITY = (
    f"/admin/executions/{name}/" for name in ("workflowexecution", "nodeexecution", "executionlog", "activity")
)


def refused_page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 400
    return unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("owner=adm", "Give a username in full, or “me”."),
        ("duration_min=3 days", "A duration is a number of seconds, or has units: 90, 1.5 s, 40 ms, 5 min, 1 h 30 min"),
        ("from=abc", "A time has a date, a time of day and optionally an offset, such as 2026-11-28T02:00+09:00."),
        ("time=bogus", "Possible times: created, started, ended."),
        ("attention=bogus", "Possible values: any, overdue, unstarted, silent, late."),
        ("workflow=bogus", "This value is not known."),
    ],
)
def test_the_page_says_what_the_filter_accepts_and_removes_it_alone(client: Client, query: str, sentence: str) -> None:
    html = refused_page(client, f"{RUNS}?{query}&status=failed")
    assert sentence in html
    assert "<title>This value is not accepted" in html
    assert f"<code>{query.partition('=')[2]}</code>" in html
    assert '<a href="?status=failed">The list without it</a>' in html


def test_a_parameter_of_no_filter_is_told_from_a_wrong_value(client: Client) -> None:
    html = refused_page(client, f"{RUNS}?bogus=1&owner=adm")
    assert "<title>No such filter" in html
    assert "This list has no such filter." in html


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3 d 4 h", 273600), ("3d", 259200), ("2 h 5 min", 7500), ("3 min 4 s", 184), ("1.2 s", 1.2), ("40 ms", 0.04),
     ("1 s 40ms", 1.04), ("2시간 5분", 7500), ("3일 4시간", 273600), ("3분 4초", 184), ("1.2초", 1.2),
     ("90", 90), ("1h 30m", 5400)],
)  # fmt: skip
def test_a_duration_is_accepted_as_the_pages_write_it(text: str, seconds: float) -> None:
    found = parse_duration(text)
    assert found is not None
    assert found.total_seconds() == seconds


def test_what_the_pages_write_is_accepted_in_each_language(client: Client) -> None:
    for language in ("en", "ko"):
        with override(language):
            written = [format_duration(seconds) for seconds in (0.04, 1.2, 184, 7500, 259200)]
        for text in written:
            assert client.get(RUNS, {"duration_min": text}).status_code == 200, text


BACKWARDS = "from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z"


@pytest.mark.parametrize("path", [RUNS, NODES, LINES, ACTIVITY, f"{RUNS}bulk/cancel/"])
def test_a_period_that_ends_before_it_begins_is_refused_and_removed_as_a_whole(client: Client, path: str) -> None:
    html = refused_page(client, f"{path}?{BACKWARDS}&period=3")
    assert "The period ends before it begins: from 2026-03-02 00:00" in html
    assert '<a href="?period=3">The list without it</a>' in html


@pytest.mark.parametrize("path", [RUNS, NODES])
def test_durations_of_which_the_least_is_longer_than_the_longest_are_refused(client: Client, path: str) -> None:
    html = refused_page(client, f"{path}?duration_min=5m&duration_max=90&status=failed")
    assert "No duration is at least 5m and at most 90." in html
    assert '<a href="?status=failed">The list without it</a>' in html


def test_a_text_together_with_levels_that_are_not_searched_is_refused(client: Client) -> None:
    for level in ("info", "debug,info"):
        html = refused_page(client, f"{LINES}?text=timeout&level={level}")
        assert "A text is searched in warnings and errors alone" in html
        assert f'<a href="?level={level.replace(",", "%2C")}">The list without it</a>' in html
    run = WorkflowExecutionFactory()
    for accepted in ("level=info,error", f"level=info&workflow_execution={run.pk}"):
        assert client.get(f"{LINES}?text=timeout&{accepted}").status_code == 200
