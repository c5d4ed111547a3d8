"""Bulk actions in the admin: from the list to the count, the confirmation and the page of the action."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import limits
from executions.bulk import runner
from executions.models import BulkAction, WorkflowExecution
from executions.tests.bulk.test_work import begin, runs, statuses
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
RUNS, ACTIONS = "/admin/executions/workflowexecution/", "/admin/executions/bulkaction/"
PENDING = "?status=pending"


def ask(user: Any, verb: str, query: str = "") -> str:
    return str(client_of(user).get(f"{RUNS}bulk/{verb}/{query}").content.decode())


def confirm(user: Any, verb: str, query: str = "", **fields: str) -> Any:
    """Confirm on the page that asks, with its hidden fields."""
    html = ask(user, verb, query)
    hidden = dict(re.findall(r'type="hidden" name="(until|number|id)" value="([^"]*)"', html))
    data = hidden | {"confirmed": "yes", "reason": "the feed is wrong"} | fields
    return client_of(user).post(f"{RUNS}bulk/{verb}/{query}", data)


def operator() -> Any:
    user = UserFactory(username="operator", is_staff=True)
    user.user_permissions.set(permissions("view_workflowexecution", "change_workflowexecution"))
    return user


class TestTheList:
    def test_offers_each_action_for_all_runs_with_its_filters(self, staff: Any) -> None:
        runs(1)
        html = client_of(staff).get(f"{RUNS}?status=pending&view=all").content.decode()
        for verb in ("cancel", "retry", "rerun", "fail", "keep", "release", "delete"):
            assert f'href="{RUNS}bulk/{verb}/?status=pending"' in html

    def test_offers_a_period_of_the_time_that_it_is_filtered_by(self, staff: Any) -> None:
        runs(1, "failed")
        client, links = client_of(staff), f'href="{RUNS}bulk/retry/?status=failed&amp;'
        for query in ("ended=1", f"ended_between={quote('2020-01-01T00:00:00Z~2099-01-01T00:00:00Z')}"):
            html = client.get(f"{RUNS}?status=failed&{query}").content.decode()
            assert f'{links}{query}&amp;time=ended"' in html
        html = client.get(f"{RUNS}?status=failed&ended=1&to=2099-01-01T00:00:00Z").content.decode()
        assert f'{links}ended=1&amp;to=2099-01-01T00%3A00%3A00Z"' in html
        html = ask(staff, "retry", "?status=failed&ended=1&time=ended")
        assert '<option value="ended" selected>' in html
        assert "<strong>1 run</strong> is changed" in html

    def test_offers_only_what_the_user_may_do(self, teammate: Any) -> None:
        runs(1)
        assert "bulk/" not in client_of(teammate).get(f"{RUNS}?status=pending").content.decode()
        html = client_of(operator()).get(f"{RUNS}?status=pending").content.decode()
        assert "bulk/cancel/" in html
        assert "bulk/delete/" not in html

    def test_offers_no_action_on_all_runs_of_the_ledger(self, staff: Any, teammate: Any) -> None:
        runs(1)
        for query in ("?view=all", "?o=2", "?time=ended"):
            html = client_of(staff).get(RUNS + query).content.decode()
            assert "bulk/" not in html, query
            assert "Once the list is filtered, all runs that match can be changed at once." in html
        assert "Once the list is filtered" not in client_of(teammate).get(f"{RUNS}?view=all").content.decode()


class TestAsking:
    def test_the_page_counts_the_runs_those_left_out_and_shows_the_newest(self, staff: Any, workflow: Workflow) -> None:
        chosen = runs(12, workflow=workflow)
        runs(2, "completed", workflow=workflow)
        runs(1)
        html = ask(staff, "cancel", f"?workflow={workflow.pk}")
        assert "<strong>12 runs</strong> are changed" in html
        assert "2 more runs match the filter and are left out" in html
        assert "Cancel 12 workflow executions</button>" in html
        assert "workflow: momentum" in html
        assert f"{RUNS}{chosen[-1].pk}/change/" in html
        assert f"{RUNS}{chosen[0].pk}/change/" not in html
        assert not BulkAction.objects.exists()

    def test_every_filter_of_the_list_counts_and_one_that_is_none_is_refused(self, staff: Any) -> None:
        runs(2)
        run = WorkflowExecutionFactory(metadata={"tags": ["nightly"]})
        html = ask(staff, "cancel", "?q=nightly")
        assert "<strong>1 run</strong> is changed" in html
        assert f"{RUNS}{run.pk}/change/" in html
        for query in ("?status=nothing", "?colour=red"):
            assert client_of(staff).get(f"{RUNS}bulk/cancel/{query}").status_code == 400

    def test_runs_with_a_text_in_an_error_are_counted_by_the_indexes_on_the_texts(self, staff: Any) -> None:
        runs(1, "failed")
        with CaptureQueriesContext(connection) as queries:
            html = ask(staff, "retry", "?status=failed&error=went")
        assert "<strong>1 run</strong> is changed" in html
        assert len([each for each in queries if "UNION ALL" in each["sql"]]) == 3

    def test_a_period_is_typed_on_the_page_and_keeps_the_other_filters(self, staff: Any) -> None:
        early, late = runs(2, "failed")
        WorkflowExecution.objects.filter(pk=early.pk).update(
            started_at="2026-11-28T02:10Z", ended_at="2026-11-28T02:30Z", created_at="2026-11-28T02:00Z"
        )
        response = client_of(staff).get(f"{RUNS}bulk/retry/?status=failed&time=ended&from=2026-11-28T02:00&to=&q=")
        assert response.headers["Location"] == f"{RUNS}bulk/retry/?status=failed&time=ended&from=2026-11-28T02%3A00"
        html = ask(staff, "retry", "?status=failed&time=ended&from=2026-11-28T02:00&to=2026-11-28T03:00")
        assert "<strong>1 run</strong> is changed" in html
        assert (str(early.pk) in html, str(late.pk) in html) == (True, False)
        assert '<input type="hidden" name="status" value="failed">' in html

    def test_too_many_runs_have_no_button(self, staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "BULK_RUNS", 2)
        runs(3)
        html = ask(staff, "cancel", PENDING)
        assert "More than 2 runs match" in html
        assert 'name="confirmed"' not in html

    def test_of_more_that_match_than_are_counted_no_number_is_named(
        self, staff: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "BULK_RUNS", 2)
        runs(1, workflow=workflow)
        runs(4, "completed", workflow=workflow)
        html = ask(staff, "cancel", f"?workflow={workflow.pk}")
        assert "<strong>1 run</strong> is changed" in html
        assert "More than 2 runs match the filter, and the others are left out" in html
        assert "2 more runs match" not in html

    def test_nothing_that_matches_has_no_button(self, staff: Any) -> None:
        runs(1, "completed")
        html = ask(staff, "cancel", "?status=completed")
        assert "No run matches in a status in which this can be done." in html
        assert 'name="confirmed"' not in html

    @pytest.mark.parametrize("query", ["", "?view=all", "?time=ended"])
    def test_a_filter_is_needed_as_over_the_api(self, staff: Any, query: str) -> None:
        chosen = runs(2)
        html = ask(staff, "cancel", query)
        assert "An action on all runs of the ledger is not offered." in html
        assert "Filter the list first, or type a period here." in html
        assert "<h1>Cancel</h1>" in html
        assert "0 runs" not in html
        assert 'name="confirmed"' not in html
        sent = {"confirmed": "yes", "reason": "x", "number": "2", "until": "2099-01-01T00:00:00Z"}
        answer = client_of(staff).post(f"{RUNS}bulk/cancel/{query}", sent)
        assert "An action on all runs of the ledger is not offered." in answer.content.decode()
        assert not BulkAction.objects.exists()
        assert "<strong>2 runs</strong> are changed" in ask(staff, "cancel", "?from=2020-01-01T00:00:00Z")
        runner.work_open()
        assert statuses(chosen) == ["pending", "pending"]

    def test_the_statements_do_not_grow_with_the_runs(self, staff: Any) -> None:
        client, counts = client_of(staff), []
        for number in (1, 9):
            runs(number)
            with CaptureQueriesContext(connection) as queries:
                client.get(f"{RUNS}bulk/cancel/?status=pending")
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 17

    def test_is_refused_without_the_permission_and_for_no_action(self, teammate: Any, staff: Any) -> None:
        assert client_of(teammate).get(f"{RUNS}bulk/cancel/").status_code == 403
        assert client_of(operator()).get(f"{RUNS}bulk/delete/").status_code == 403
        assert client_of(staff).get(f"{RUNS}bulk/explode/").status_code == 404


class TestConfirmed:
    def test_begins_the_action_and_shows_its_page(self, staff: Any) -> None:
        chosen = runs(2)
        response = confirm(staff, "cancel", "?status=pending")
        action = BulkAction.objects.get()
        assert response.headers["Location"] == f"{ACTIONS}{action.pk}/change/"
        assert (action.username, action.through, action.reason) == ("staff", "admin", "the feed is wrong")
        assert (action.number, action.filters) == (2, {"status": ["pending"]})
        assert statuses(chosen) == ["pending", "pending"]
        runner.work_open()
        assert statuses(chosen) == ["cancelled", "cancelled"]
        assert {run.history.get(act="cancel").username for run in chosen} == {"staff"}

    def test_a_form_that_is_sent_twice_begins_one_action(self, staff: Any) -> None:
        runs(1)
        html = ask(staff, "cancel", PENDING)
        hidden = dict(re.findall(r'type="hidden" name="(until|number|id)" value="([^"]*)"', html))
        sent = [client_of(staff).post(f"{RUNS}bulk/cancel/{PENDING}", hidden | {"confirmed": "yes"}) for _ in range(2)]
        assert sent[0].headers["Location"] == sent[1].headers["Location"]
        assert BulkAction.objects.count() == 1

    def test_changes_no_run_that_was_created_after_the_page(self, staff: Any) -> None:
        (first,) = runs(1)
        html = ask(staff, "cancel", PENDING)
        hidden = dict(re.findall(r'type="hidden" name="(until|number|id)" value="([^"]*)"', html))
        (later,) = runs(1)
        WorkflowExecution.objects.filter(pk=later.pk).update(created_at="2099-01-01T00:00Z")
        client_of(staff).post(f"{RUNS}bulk/cancel/{PENDING}", hidden | {"confirmed": "yes"})
        runner.work_open()
        assert statuses([first, later]) == ["cancelled", "pending"]

    def test_counts_again_where_more_match_by_now(self, staff: Any) -> None:
        runs(2)
        response = confirm(staff, "cancel", PENDING, number="1")
        assert "More runs match by now" in response.content.decode()
        assert not BulkAction.objects.exists()

    def test_asks_for_a_reason_where_one_is_needed(self, staff: Any) -> None:
        runs(1, "completed")
        response = confirm(staff, "delete", "?status=completed", reason=" ")
        assert "Nothing was done: give a reason." in response.content.decode()
        assert not BulkAction.objects.exists()

    @pytest.mark.parametrize("fields", [{"until": "x"}, {"until": "2026-99-99T00:00Z"}, {"number": "²"}, {"id": "x"}])
    def test_hidden_fields_that_are_none_are_no_error_of_the_server(self, staff: Any, fields: dict[str, str]) -> None:
        runs(1)
        assert confirm(staff, "cancel", PENDING, **fields).status_code in {200, 302}


class TestThePageOfAnAction:
    def test_says_how_far_it_is_and_why_runs_were_refused(self, staff: Any) -> None:
        ended, _still = runs(2)
        action = begin(staff, "cancel")
        assert "0 of 2 runs" in client_of(staff).get(f"{ACTIONS}{action.pk}/change/").content.decode()
        ended.cancel()
        runner.work_open()
        html = client_of(staff).get(f"{ACTIONS}{action.pk}/change/").content.decode()
        assert "2 of 2 runs" in html
        assert "Cannot cancel execution in cancelled state" in html
        assert str(ended.pk) in html
        done = client_of(staff).get(f"{ACTIONS}{action.pk}/change/?state=done").content.decode()
        assert str(ended.pk) not in done
        assert "1 of 2" in client_of(staff).get(ACTIONS).content.decode()

    def test_is_korean_in_the_results_too_and_links_to_the_new_runs(self, staff: Any, workflow: Workflow) -> None:
        old, stopped = runs(2, "failed", workflow=workflow)
        action, later = begin(staff, "rerun", pk=old.pk), begin(staff, "rerun", pk=stopped.pk)
        runner.work_at(action)
        runner.stop(later, runner.NOBODY)
        new = WorkflowExecution.objects.get(metadata__rerun_of=str(old.pk))
        client = client_of(staff)
        client.cookies["pastetrader_language"] = "ko"
        html = client.get(f"{ACTIONS}{action.pk}/change/").content.decode()
        assert f'<a href="{RUNS}{new.pk}/change/">{new.pk}</a>' in html
        assert "The new run is" not in html
        assert runner.NOBODY not in client.get(f"{ACTIONS}{later.pk}/change/").content.decode()

    def test_names_its_filters_as_the_page_did_that_asked(self, staff: Any, workflow: Workflow) -> None:
        runs(1, "failed", workflow=workflow)
        confirm(staff, "retry", f"?status=failed&workflow={workflow.pk}&period=7")
        action = BulkAction.objects.get()
        html = client_of(staff).get(f"{ACTIONS}{action.pk}/change/").content.decode()
        shown = re.findall(r'class="bulk-chip">([^<]+)<', html)
        assert shown == ["status: failed", "time of creation: Last 7 days", "workflow: momentum"]
        assert str(workflow.pk) not in html

    def test_shows_filters_that_the_list_lacks_as_they_were_sent(self, staff: Any) -> None:
        runs(1)
        action = begin(staff, "cancel")  # with a status that is none
        html = client_of(staff).get(f"{ACTIONS}{action.pk}/change/").content.decode()
        assert "<code>status=any</code>" in html

    def test_is_paged(self, staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "BULK_RESULTS", 2)
        chosen = runs(3)
        action = begin(staff, "cancel")
        client, seen = client_of(staff), []
        address = "?state=waiting"
        while address:
            html = client.get(f"{ACTIONS}{action.pk}/change/{address}").content.decode()
            seen += re.findall(r"\?q=([0-9a-f-]{36})", html)
            address = next(iter(re.findall(r'href="(\?state=waiting&amp;after=[^"]+)"', html)), "").replace(
                "&amp;", "&"
            )
        assert seen == [str(run.pk) for run in chosen]

    def test_stops_it(self, staff: Any) -> None:
        chosen = runs(1)
        action = begin(staff, "cancel")
        assert client_of(staff).get(f"{ACTIONS}{action.pk}/stop/").status_code == 405
        response = client_of(staff).post(f"{ACTIONS}{action.pk}/stop/", follow=True)
        assert "It is stopped" in response.content.decode()
        runner.work_open()
        assert statuses(chosen) == ["pending"]
        assert (
            "It had ended already."
            in client_of(staff).post(f"{ACTIONS}{action.pk}/stop/", follow=True).content.decode()
        )

    def test_is_for_staff_who_may_view_runs_and_stopped_by_those_who_may_do_it(self, staff: Any, teammate: Any) -> None:
        runs(1)
        action = begin(staff, "cancel")
        html = client_of(teammate).get(f"{ACTIONS}{action.pk}/change/").content.decode()
        assert "stop/" not in html
        assert client_of(teammate).post(f"{ACTIONS}{action.pk}/stop/").status_code == 403
        assert "stop/" in client_of(operator()).get(f"{ACTIONS}{action.pk}/change/").content.decode()
        nobody = UserFactory(is_staff=True)
        for address in (ACTIONS, f"{ACTIONS}{action.pk}/change/"):
            assert client_of(nobody).get(address).status_code == 403

    def test_from_the_page_of_a_workflow_its_runs_are_stopped_in_two_clicks(
        self, staff: Any, workflow: Workflow
    ) -> None:
        chosen = [*runs(2, workflow=workflow), *runs(1, "running", workflow=workflow)]
        (other,) = runs(1)
        html = client_of(staff).get(f"/admin/workflows/workflow/{workflow.pk}/").content.decode()
        assert f'href="{RUNS}bulk/cancel/?workflow={workflow.pk}"' in html
        confirm(staff, "cancel", f"?workflow={workflow.pk}")
        runner.work_open()
        assert statuses([*chosen, other]) == ["cancelled", "cancelled", "cancelled", "pending"]
