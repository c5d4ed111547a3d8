"""Failed runs on the front page, grouped by cause."""

from datetime import timedelta
from html import escape
from typing import Any

from executions import limits
from executions.admin import recent_failures
from executions.tests.admin.monitor.front_page import ended_run, failed_at, found, front_page_of, numbers, section
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import WorkflowFactory


class TestFailed:
    def test_those_of_one_cause_stand_in_one_row_the_newest_cause_first(self, staff: Any) -> None:
        flow, other = WorkflowFactory(name="flow"), WorkflowFactory(name="other")
        first = failed_at("load", "KeyError: 'close_17'\nmore", flow)
        alone = failed_at("load", "page 3 of /srv/a/x.csv is gone", other)
        runs = [failed_at("rank", "KeyError: volume", other), failed_at("load", "KeyError: 'open'", flow)]
        html = section(front_page_of(staff), "failed")
        causes = found(staff, "failed")["causes"]
        assert [[failed.run.pk for failed in each.runs] for each in causes] == [
            [runs[1].pk, runs[0].pk, first.pk],
            [alone.pk],
        ]
        places = [(each.workflow_name, each.node, len(each.runs)) for each in causes[0].first_places]
        assert places == [("flow", "load", 2), ("other", "rank", 1)]
        for run in (*runs, alone):
            assert f"/admin/executions/workflowexecution/{run.pk}/change/" in html
        assert f"/admin/executions/workflowexecution/{first.pk}/change/" not in html
        assert "KeyError: &#x27;open&#x27;" in html
        assert sorted(number for _address, number in numbers(html)) == [1, 1, 2, 3]

    def test_the_class_of_an_exception_is_read_off_its_traceback(self, staff: Any) -> None:
        flow = WorkflowFactory()
        for message in ("'close'", "volume"):
            failed_at("load", message, flow, traceback=f"Traceback:\n  at x\nlib.KeyError: {message}\n")
        html = section(front_page_of(staff), "failed")
        assert [number for _address, number in numbers(html)] == [2]
        assert "KeyError: volume" in html

    def test_a_cause_leads_to_its_runs_and_says_so_there(self, staff: Any) -> None:
        flow, client = WorkflowFactory(), client_of(staff)
        runs = [failed_at("load", f"page {number} is gone", flow) for number in range(2)]
        runs.append(failed_at("rank", "page 7 is gone", flow))
        failed_at("load", "something else", flow)
        (_other, cause) = found(staff, "failed")["causes"]
        for group, expected in ((cause, runs), (cause.first_places[0], runs[2:]), (cause.first_places[1], runs[:2])):
            response = client.get(group.address)
            assert {run.pk for run in response.context["cl"].result_list} == {run.pk for run in expected}
            assert f"{escape(group.title)} (last 24 hours)" in response.content.decode()

    def test_a_list_of_one_cause_says_among_how_many_failures_it_was_looked_for(
        self, staff: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(limits, "GROUPED_FAILURES", 2)
        flow, client = WorkflowFactory(), client_of(staff)
        for _ in range(2):
            failed_at("load", "page is gone", flow)
        assert ">2</a>" in section(front_page_of(staff), "failed")  # all that there are
        failed_at("load", "page is gone", flow)
        (cause,) = found(staff, "failed")["causes"]
        page = client.get(cause.address)
        assert len(page.context["cl"].result_list) == 2
        assert "page is gone (newest 2 failures of the last 24 hours)" in page.content.decode()

    def test_places_beyond_the_first_are_counted(self, staff: Any) -> None:
        flow = WorkflowFactory()
        for name in "abcde":
            failed_at(name, "went wrong", flow)
        html = section(front_page_of(staff), "failed")
        assert "and 2 more nodes</a>" in html
        assert html.count(">1 failed</a>") == recent_failures.MAX_PLACES

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

    def test_of_more_than_ten_causes_the_others_are_counted(self, staff: Any) -> None:
        for name in "abcdefghijkl":
            failed_at(name, f"{name} went wrong", WorkflowFactory())
        assert "2 more causes: all that failed" in front_page_of(staff)
