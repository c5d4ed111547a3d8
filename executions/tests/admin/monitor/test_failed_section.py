"""Failures on the front page: groups of errors with their runs and places, and failed runs without a group."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import limits
from executions.admin.error_groups.rows import group_url
from executions.admin.filters.error_group_filters import runs_of_group_url
from executions.admin.monitor import recent_errors
from executions.models import ErrorGroup, WorkflowExecution
from executions.tests.admin.monitor.front_page import (
    count,
    ended_run,
    failed_at,
    found,
    front_page_of,
    numbers,
    section,
    sort_into_groups,
)
from executions.tests.cast import permissions
from executions.tests.database.test_schema import rows
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import uses
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

HOUR = timedelta(hours=1)


def grouped_at(node: str, error: str, workflow: Workflow) -> WorkflowExecution:
    run = failed_at(node, error, workflow)
    sort_into_groups(run)
    return run


def run_page(run: WorkflowExecution) -> str:
    return f"/admin/executions/workflowexecution/{run.pk}/change/"


class TestGroups:
    def test_a_group_is_one_row_with_its_places_that_link_to_their_runs(self, staff: Any) -> None:
        flow = WorkflowFactory(name="flow")
        other = WorkflowFactory(name="other", owner=flow.owner)
        first = grouped_at("load", "no prices for 'A'", flow)
        elsewhere, newest = (
            grouped_at("rank", "no prices for 'B'", other),
            grouped_at("load", "no prices for 'C'", flow),
        )
        (row,) = found(staff, "error_groups")["rows"]
        places = [(each.workflow_name, each.node, each.runs.number) for each in row.first_places]
        assert (row.runs.number, places) == (3, [("flow", "load", 2), ("other", "rank", 1)])
        html, client = section(front_page_of(staff), "failed"), client_of(staff)
        assert run_page(newest) in html
        assert run_page(elsewhere) in html
        assert run_page(first) not in html
        assert group_url(ErrorGroup.objects.get().pk) in html
        for address in (each.runs.address for each in row.first_places):
            assert address.replace("&", "&amp;") in html
        listed = client.get(row.first_places[0].runs.address).context["cl"].result_list
        assert {run.pk for run in listed} == {newest.pk, first.pk}

    def test_new_ones_and_those_that_came_back_come_first_then_the_last_that_was_seen(self, staff: Any) -> None:
        flow, now = WorkflowFactory(), timezone.now()
        for title, opened, seen in (
            ("old", 72, 3), ("older, seen later", 96, 2), ("came back", 5, 4), ("new", 6, 6), ("gone", 50, 30),
        ):  # fmt: skip
            grouped_at("load", title, flow)
            ErrorGroup.objects.filter(title=title).update(opened_at=now - opened * HOUR, last_seen=now - seen * HOUR)
        ErrorGroup.objects.filter(title="came back").update(is_regression=True)
        rows = found(staff, "error_groups")["rows"]
        assert [row.shown.group.title for row in rows] == ["came back", "new", "older, seen later", "old"]

    def test_muted_ones_are_counted_and_resolved_ones_are_not_there(self, staff: Any) -> None:
        flow = WorkflowFactory()
        for title in ("muted", "resolved", "open"):
            grouped_at("load", title, flow)
        ErrorGroup.objects.filter(title="muted").update(state="muted", muted_until=timezone.now() + HOUR)
        ErrorGroup.objects.filter(title="resolved").update(state="resolved", resolved_at=timezone.now())
        html = section(front_page_of(staff), "failed")
        assert [row.shown.group.title for row in found(staff, "error_groups")["rows"]] == ["open"]
        assert 'href="/admin/executions/errorgroup/?state=muted&amp;period=1">1 muted group failed too</a>' in html

    def test_muted_ones_are_counted_up_to_a_limit_which_is_said(self, staff: Any, monkeypatch: Any) -> None:
        flow = WorkflowFactory()
        for title in ("a", "b", "c"):
            grouped_at("load", title, flow)
        ErrorGroup.objects.update(state="muted", muted_until=timezone.now() + HOUR)
        for most, words in ((3, "3 muted groups"), (2, "over 2 muted groups")):
            monkeypatch.setattr(limits, "COUNTED_GROUPS", most)
            assert f"{words} failed too</a>" in section(front_page_of(staff), "failed")

    def test_places_beyond_the_first_are_counted(self, staff: Any) -> None:
        flow = WorkflowFactory()
        for name in "abcde":
            grouped_at(name, "went wrong", flow)
        html = section(front_page_of(staff), "failed")
        assert "and 2 more nodes</a>" in html
        assert html.count(">1 failed</a>") == recent_errors.MAX_PLACES

    def test_an_error_of_a_run_has_its_workflow_as_place(self, staff: Any) -> None:
        run = ended_run("failed", HOUR, WorkflowFactory(name="flow"))
        sort_into_groups(run)
        html = section(front_page_of(staff), "failed")
        assert f'<a href="{run_page(run)}">flow</a>' in html

    def test_failures_before_the_period_are_not_counted(self, staff: Any) -> None:
        flow, client = WorkflowFactory(), client_of(staff)
        old = ended_run("failed", timedelta(hours=25), flow)
        sort_into_groups(old, ended_run("failed", HOUR, flow))
        (row,) = found(staff, "error_groups")["rows"]
        assert row.runs.number == count(client, row.runs.address) == 1
        assert count(client, runs_of_group_url(ErrorGroup.objects.get().pk)) == 2

    def test_a_run_that_was_retried_since_still_counts(self, staff: Any) -> None:
        run = grouped_at("load", "no prices", WorkflowFactory())
        run.refresh_from_db()
        run.retry()
        (row,) = found(staff, "error_groups")["rows"]
        assert row.runs.number == count(client_of(staff), row.runs.address) == 1

    def test_a_failed_node_of_a_completed_run_has_its_group(self, staff: Any) -> None:
        flow = WorkflowFactory()
        run = in_state(WorkflowExecutionFactory(workflow=flow), "running")
        in_state(NodeExecutionFactory(workflow_execution=run, node=NodeFactory(workflow=flow)), "failed")
        run.refresh_from_db()
        run.complete()
        sort_into_groups(run)
        html = section(front_page_of(staff), "failed")
        assert run_page(run) in html
        assert "Nothing has failed" not in html

    def test_of_more_than_ten_the_page_says_where_the_others_are(self, staff: Any) -> None:
        for name in "abcdefghijkl":
            grouped_at(name, f"{name} went wrong", WorkflowFactory())
        assert len(found(staff, "error_groups")["rows"]) == limits.FRONT_PAGE_ROWS
        assert "More, and all groups of errors" in front_page_of(staff)


class TestFailedRuns:
    def test_those_without_a_group_are_listed_with_their_node_and_error(self, staff: Any) -> None:
        flow = WorkflowFactory(name="flow")
        known = grouped_at("load", "no prices", flow)
        run = failed_at("rank", "\x1b[31mno server\x1b[0m\nmore", flow)
        html = section(front_page_of(staff), "failed")
        assert [row.run.pk for row in found(staff, "failed").rows] == [run.pk]
        assert f'<a href="{run_page(run)}">flow: rank</a>' in html
        assert ">no server<" in html
        sort_into_groups(run)
        assert found(staff, "failed").rows == []
        assert {known.pk, run.pk} == {
            each.newest for row in found(staff, "error_groups")["rows"] for each in row.places
        }

    def test_an_attempt_that_no_scan_has_seen_is_without_a_group(self, staff: Any) -> None:
        run = grouped_at("load", "no prices", WorkflowFactory())
        run.refresh_from_db()
        run.retry()
        run.start()
        run.fail("killed")
        assert [row.run.pk for row in found(staff, "failed").rows] == [run.pk]

    def test_more_of_them_than_are_shown_are_a_list(self, staff: Any) -> None:
        for _ in range(limits.FRONT_PAGE_ROWS + 2):
            ended_run("failed", HOUR)
        links = dict(numbers(section(front_page_of(staff), "failed")))
        (address,) = [address for address in links if "error_group=none" in address]
        assert links[address] == count(client_of(staff), address) == limits.FRONT_PAGE_ROWS + 2

    def test_readers_without_groups_see_all_that_failed(self, db: None) -> None:
        reader = UserFactory(is_staff=True)
        reader.user_permissions.set(permissions("view_workflowexecution", "view_nodeexecution"))
        run = grouped_at("load", "no prices", WorkflowFactory(name="flow"))
        html = section(front_page_of(reader), "failed")
        assert f'<a href="{run_page(run)}">flow: load</a>' in html
        assert "errorgroup" not in html
        assert "error_group=" not in html

    def test_what_failed_before_that_is_not_there(self, staff: Any) -> None:
        ended_run("failed", timedelta(hours=25))
        html = section(front_page_of(staff), "failed")
        assert "No run has ended in the last 24 hours." in html
        assert "status-completed" not in html

    def test_it_is_green_only_where_runs_ended(self, staff: Any) -> None:
        ended_run("completed", timedelta(hours=1))
        html = section(front_page_of(staff), "failed")
        assert "Nothing has failed in the last 24 hours." in html
        assert "status-completed" in html

    def test_without_any_run_it_says_how_to_make_the_first(self, staff: Any) -> None:
        html = section(front_page_of(staff), "failed")
        assert "There is no run yet." in html
        assert "manage.py demo" in html
        assert 'href="/api/v1/docs/"' in html
        assert "status-completed" not in html


def test_owners_on_the_page_count_their_own_runs_alone(
    db: None, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    user = UserFactory(is_staff=True)
    user.user_permissions.set(permissions("change_workflowexecution", "view_errorgroup"))
    mine = grouped_at("load", "no prices", WorkflowFactory(owner=user, name="mine"))
    grouped_at("load", "no prices", WorkflowFactory(name="of another"))
    with django_assert_max_num_queries(7):
        rows = recent_errors.error_groups_section(user)["rows"]
    assert [place.newest for row in rows for place in row.places] == [mine.pk]


def test_the_newest_failures_of_each_fingerprint_are_read_off_their_index(only: Any, staff: Any) -> None:
    grouped_at("load", "no prices", WorkflowFactory())
    only("error_occurrences", "idx_error_occurrences_fingerprint")
    with CaptureQueriesContext(connection) as queries:
        recent_errors.error_groups_section(staff)
    read = [query["sql"] for query in queries if 'FROM "error_occurrences"' in query["sql"]]
    assert len(read) == 2  # the runs of each group, and its places
    for sql in read:
        found = " ".join(line for (line,) in rows(f"EXPLAIN {sql}"))
        index = found.split("idx_error_occurrences_fingerprint")[1]
        assert "happened_at >= " in index.split("Index Cond: ")[1].split("->")[0]


@pytest.mark.parametrize("index", ["opened", "last_seen"])
def test_the_groups_of_the_period_are_read_off_an_index(only: Any, staff: Any, index: str) -> None:
    only("error_groups", f"idx_error_groups_{index}")
    with CaptureQueriesContext(connection) as queries:
        recent_errors.error_groups_section(staff)
    of_groups = [query["sql"] for query in queries if 'FROM "error_groups"' in query["sql"]]
    plans = [" ".join(line for (line,) in rows(f"EXPLAIN {sql}")) for sql in of_groups]
    assert any(uses(each, f"idx_error_groups_{index}") and "Sort" not in each for each in plans)
