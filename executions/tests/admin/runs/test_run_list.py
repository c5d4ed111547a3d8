"""The list of runs: presets, exclusions, what is usual, the first failure, and the box that leads to any id's page."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from executions.admin import duration_percentiles
from executions.admin.duration_cells import Bar, format_ago
from executions.admin.duration_percentiles import DurationPercentiles
from executions.admin.filters import presets
from executions.models import SavedView, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from executions.tests.query_plans import plan, uses
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

RUNS = "/admin/executions/workflowexecution/"


def rows_of(user: Any, query: str = "") -> list[Any]:
    return list(client_of(user).get(f"{RUNS}?{query}").context["cl"].result_list)


def page_of(user: Any, query: str = "") -> str:
    return client_of(user).get(f"{RUNS}?{query}").content.decode()


def ran(workflow: Workflow, seconds: float, ended: timedelta = timedelta(hours=1), **fields: Any) -> WorkflowExecution:
    """Return a run of so many seconds that completed so long ago."""
    end = timezone.now() - ended
    times = {"created_at": end - timedelta(seconds=seconds), "started_at": end - timedelta(seconds=seconds)}
    fields = {"workflow": workflow, "status": "completed", "ended_at": end} | times | fields
    return WorkflowExecution.objects.bulk_create([WorkflowExecutionFactory.build(**fields)])[0]


def failed_at(run: WorkflowExecution, *names: str, error: str = "went wrong") -> WorkflowExecution:
    """Return a failed run whose nodes of these names failed one after the other."""
    in_state(run, "running")
    for name in names:
        node = NodeFactory(workflow=run.workflow, name=name)
        in_state(NodeExecutionFactory(workflow_execution=run, node=node), "running").fail(f"{error} in {name}\nmore")
    run.fail("the run failed")
    return run


class TestPresets:
    def test_failed_today_are_those_that_failed_since_midnight(self, staff: Any) -> None:
        today, before, other = (in_state(WorkflowExecutionFactory(), "failed") for _ in range(3))
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        WorkflowExecution.objects.filter(pk=before.pk).update(
            started_at=midnight - timedelta(hours=3), ended_at=midnight - timedelta(hours=2)
        )
        in_state(WorkflowExecutionFactory(), "completed")
        found = {run.pk for run in rows_of(staff, "status=failed&ended=today")}
        assert found == {today.pk, other.pk}

    def test_running_and_waiting_are_what_their_names_say(self, staff: Any) -> None:
        waiting, running = WorkflowExecutionFactory(), in_state(WorkflowExecutionFactory(), "running")
        assert [run.pk for run in rows_of(staff, "status=running")] == [running.pk]
        assert [run.pk for run in rows_of(staff, "status=pending")] == [waiting.pk]

    def test_mine_are_those_of_the_workflows_that_i_own(self, staff: Any) -> None:
        mine = WorkflowExecutionFactory(workflow=WorkflowFactory(owner=staff))
        WorkflowExecutionFactory()
        assert [run.pk for run in rows_of(staff, "owner=me")] == [mine.pk]

    def test_slow_are_those_beyond_the_95th_percentile_of_their_own_workflow(self, staff: Any) -> None:
        quick, long = WorkflowFactory(), WorkflowFactory()
        for _ in range(30):
            ran(quick, 1)
            ran(long, 100)
        slow = ran(quick, 50)
        ran(long, 50)
        assert [run.pk for run in rows_of(staff, "pace=slow")] == [slow.pk]

    def test_slow_are_also_those_that_run_for_longer_already(self, staff: Any) -> None:
        workflow = WorkflowFactory()
        for _ in range(duration_percentiles.MIN_RUNS):
            ran(workflow, 60)
        young, old = (
            in_state(WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True}), "running")
            for _ in range(2)
        )
        WorkflowExecution.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(minutes=2))
        assert [run.pk for run in rows_of(staff, "pace=slow")] == [old.pk]
        assert young.pk

    def test_of_fewer_runs_than_tell_what_is_usual_none_is_slow(self, staff: Any) -> None:
        """Two runs of the demo called one of them slow."""
        workflow = WorkflowFactory()
        for seconds in range(1, duration_percentiles.MIN_RUNS):
            ran(workflow, seconds)
        assert duration_percentiles.get_percentiles([workflow.pk]) == {}
        assert rows_of(staff, "pace=slow") == []
        assert 'class="slow"' not in page_of(staff)
        ran(workflow, 500)
        assert len(rows_of(staff, "pace=slow")) == 1

    def test_nothing_is_slow_where_nothing_is_known_of_what_is_usual(self, staff: Any) -> None:
        ran(WorkflowFactory(), 500, ended=timedelta(days=8))
        in_state(WorkflowExecutionFactory(), "running")
        assert rows_of(staff, "pace=slow") == []

    @pytest.mark.parametrize(("title", "filters"), presets.PRESETS)
    def test_each_is_an_address_that_says_it_is_chosen_there(
        self, title: Any, filters: dict[str, str], staff: Any
    ) -> None:
        html = client_of(staff).get(presets.runs_url(**filters)).content.decode()
        assert f'aria-current="page">{title}</a>' in html


class TestExclusions:
    def test_what_is_excluded_is_left_out_and_the_rest_is_there(self, staff: Any) -> None:
        kept, *others = (WorkflowExecutionFactory() for _ in range(3))
        query = ",".join(str(run.workflow_id) for run in others)
        assert [run.pk for run in rows_of(staff, f"not_workflow={query}")] == [kept.pk]

    def test_by_status_and_by_trigger(self, staff: Any) -> None:
        manual, event = WorkflowExecutionFactory(), WorkflowExecutionFactory(trigger_type="event")
        in_state(event, "failed")
        assert [run.pk for run in rows_of(staff, "not_trigger_type=event,schedule")] == [manual.pk]
        assert [run.pk for run in rows_of(staff, "not_status=pending,running")] == [event.pk]

    def test_beside_each_choice_stands_a_box_that_leaves_it_out(self, staff: Any) -> None:
        html = page_of(staff)
        assert '<input type="checkbox" name="not_trigger_type" value="event">' in html
        assert "Leave event out" in html
        html = page_of(staff, "not_trigger_type=event")
        assert '<input type="checkbox" name="not_trigger_type" value="event" checked>' in html
        assert "not event" in html

    def test_statuses_that_an_address_excludes_stay_out_when_another_filter_is_applied(self, staff: Any) -> None:
        assert '<input type="hidden" name="not_status" value="failed">' in page_of(staff, "not_status=failed")

    def test_pages_go_forward_and_back_within_what_is_left(self, staff: Any) -> None:
        workflow, other = WorkflowFactory(), WorkflowFactory()
        WorkflowExecution.objects.bulk_create(
            WorkflowExecutionFactory.build(workflow=each) for _ in range(60) for each in (workflow, other)
        )
        client = client_of(staff)
        first = client.get(f"{RUNS}?not_workflow={other.pk}").context["cl"]
        second = client.get(RUNS + first.older_link).context["cl"]
        assert [len(page.result_list) for page in (first, second)] == [50, 10]
        assert {run.workflow_id for page in (first, second) for run in page.result_list} == {workflow.pk}
        back = client.get(RUNS + second.newer_link).context["cl"]
        assert [run.pk for run in back.result_list] == [run.pk for run in first.result_list]

    @pytest.mark.parametrize(
        "query", ["not_status=bogus", "not_workflow=x", "not_trigger_type=event,x", "ended_between=x"]
    )
    def test_garbage_is_named_and_never_answered_with_the_whole_list(self, query: str, staff: Any) -> None:
        WorkflowExecutionFactory()
        response = client_of(staff).get(f"{RUNS}?{query}")
        assert response.status_code == 400
        assert "cl" not in response.context

    def test_a_filter_that_is_gone_is_left_out_with_a_message(self, staff: Any) -> None:
        failed, _other = in_state(WorkflowExecutionFactory(), "failed"), WorkflowExecutionFactory()
        view = SavedView.objects.create(owner=staff, name="one cause", filters={"cause": "ab12", "status": "failed"})
        client = client_of(staff)
        for address in (f"{RUNS}?cause=ab12&status=failed", f"{RUNS}views/{view.pk}/"):
            response = client.get(address, follow=True)
            assert [run.pk for run in response.context["cl"].result_list] == [failed.pk], address
            assert "The filter “cause” is gone" in response.content.decode(), address
        assert client.get(f"{RUNS}?cause=ab12")["Location"].endswith("?view=all")
        address = f"{RUNS}?cause=ab12&status=failed&status=pending&model=1"
        assert client.get(address)["Location"].endswith("?status=failed&status=pending&model=1")


class TestWhatIsUsual:
    def test_it_is_the_median_and_the_95th_percentile_of_completed_runs_of_the_last_7_days(self, db: None) -> None:
        workflow = WorkflowFactory()
        for seconds in range(1, 102):
            ran(workflow, seconds)
        ran(workflow, 9_999, ended=timedelta(days=8))
        in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
        assert duration_percentiles.get_percentiles([workflow.pk]) == {workflow.pk: DurationPercentiles(51.0, 96.0)}

    def test_a_bar_is_drawn_against_it_and_says_it_in_words(self, staff: Any) -> None:
        workflow = WorkflowFactory()
        for _ in range(duration_percentiles.MIN_RUNS):
            ran(workflow, 10)
        html = page_of(staff)
        assert "half took up to 10.0 s, and 95 of 100 up to 10.0 s" in html
        assert 'class="slow"' not in html

    def test_a_bar_beyond_it_is_called_slow(self) -> None:
        usual_here = DurationPercentiles(10, 20)
        assert not Bar(20, usual_here).is_slow
        assert Bar(21, usual_here).is_slow
        assert Bar(20, usual_here).length == Bar(20, usual_here).p95_at < Bar(1e9, usual_here).length == 100
        assert Bar(0, DurationPercentiles(0, 0)).length == 100

    def test_what_is_usual_is_put_into_words_once_for_all_runs_of_a_workflow(self) -> None:
        usual_here = DurationPercentiles(10, 20)
        first, second = Bar(5, usual_here), Bar(21, usual_here)
        assert first.usual.sentence is second.usual.sentence
        assert f'aria-label="{usual_here.sentence}"><title>{usual_here.sentence}</title>' in first.svg
        assert '<svg class="usual"' in first.svg
        assert '<svg class="usual usual-slow"' in second.svg

    def test_a_workflow_without_completed_runs_has_no_bar(self, staff: Any) -> None:
        in_state(WorkflowExecutionFactory(), "failed")
        assert 'class="usual' not in page_of(staff)


class TestFailures:
    def test_the_first_failed_node_is_named_with_the_first_line_of_its_message(self, staff: Any) -> None:
        run = failed_at(WorkflowExecutionFactory(), "second by name", "a first by name")
        (row,) = client_of(staff).get(RUNS).context["cl"].rows
        assert row.cells.run == run
        assert row.cells.failure.node.node_name == "second by name"
        html = page_of(staff)
        assert "went wrong in second by name" in html
        assert "more" not in html.partition('id="result_list"')[2].partition("</table>")[0]

    def test_without_a_failed_node_the_message_of_the_run_stands_there(self, staff: Any) -> None:
        in_state(WorkflowExecutionFactory(), "running").fail("\n  the engine is gone\nsecond line")
        html = page_of(staff)
        assert "the engine is gone" in html
        assert "second line" not in html

    def test_its_queries_are_as_many_for_20_failures_as_for_2(self, staff: Any) -> None:
        client = client_of(staff)
        client.get(RUNS)
        counts = []
        for more in (2, 18):
            for _ in range(more):
                failed_at(WorkflowExecutionFactory(), "a", "b")
            with CaptureQueriesContext(connection) as queries:
                client.get(RUNS)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 19

    def test_who_may_not_see_node_executions_reads_the_runs_own_message_alone(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution"))
        failed_at(WorkflowExecutionFactory(), "hidden", error="not for everyone")
        html = page_of(user)
        assert "not for everyone" not in html
        assert "the run failed" in html


class TestAnyIdLeadsToItsPage:
    def landing(self, user: Any, text: Any) -> Any:
        response = client_of(user).get(RUNS, {"q": str(text)})
        return response.headers.get("Location")

    def test_of_a_run_a_node_execution_and_a_line(self, staff: Any) -> None:
        node = NodeExecutionFactory()
        line = ExecutionLogFactory(workflow_execution=node.workflow_execution)
        for row in (node.workflow_execution, node, line):
            page = reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk])
            assert self.landing(staff, f"  {row.pk} ") == page

    def test_of_a_run_by_its_correlation_id(self, staff: Any) -> None:
        run = WorkflowExecutionFactory(metadata={"correlation_id": "order 17"})
        assert self.landing(staff, "order 17") == f"{RUNS}{run.pk}/change/"

    def test_an_action_on_what_was_found_is_not_led_away(self, staff: Any) -> None:
        run = WorkflowExecutionFactory(metadata={"correlation_id": "order 17"})
        data = {"action": "cancel", "_selected_action": str(run.pk), "confirmed": "yes"}
        client_of(staff).post(f"{RUNS}?q=order+17", data)
        run.refresh_from_db()
        assert run.status == "cancelled"

    def test_what_nothing_has_and_what_several_have_stays_a_search(self, staff: Any) -> None:
        for _ in range(2):
            WorkflowExecutionFactory(metadata={"correlation_id": "shared"})
        assert self.landing(staff, "shared") is None
        assert self.landing(staff, "0190f5e5-0000-7000-8000-000000000000") is None
        assert self.landing(staff, "") == f"{RUNS}?view=all"

    def test_what_one_may_not_see_is_not_found(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution"))
        node = NodeExecutionFactory()
        assert self.landing(user, node.pk) is None
        assert self.landing(user, node.workflow_execution_id) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "index", "condition"),
    [
        ("not_trigger_type=event", "created", ""),
        ("not_status=completed,running", "created", ""),
        ("not_workflow={workflow}", "created", ""),
        ("not_workflow={workflow}&period=7", "created", "Index Cond: (created_at >="),
        ("status=failed&ended=today", "ended", "Index Cond: (ended_at >="),
        ("ended=7", "ended", "Index Cond: (ended_at >="),
        ("ended_between=2026-01-01T00:00:00Z~2026-01-01T01:00:00Z", "ended", "Index Cond: ((ended_at >="),
        ("pace=slow", "created", "Index Cond: (created_at >="),
        ("owner=me", "workflow", "Index Cond: (workflow_id ="),
    ],
)
def test_a_filter_of_the_list_is_answered_by_its_index(
    only: Any, query: str, index: str, condition: str, staff: Any
) -> None:
    workflow = WorkflowFactory(owner=staff)
    for _ in range(duration_percentiles.MIN_RUNS):
        ran(workflow, 10)
    client = client_of(staff)
    only("workflow_executions", f"idx_workflow_executions_{index}")
    cl = client.get(f"{RUNS}?{query.format(workflow=workflow.pk)}").context["cl"]
    found = plan(cl.queryset[:51])
    assert uses(found, f"idx_workflow_executions_{index}")
    assert condition in found
    assert index != "created" or "Sort" not in found


def test_how_long_ago_it_was_is_said_in_words_and_the_exact_time_is_there_on_hover(staff: Any) -> None:
    run = ran(WorkflowFactory(), 10, ended=timedelta(hours=3))
    run.refresh_from_db()
    html = page_of(staff)
    assert "3\xa0hours ago</time>" in html
    assert f'title="{timezone.localtime(run.started_at):%Y-%m-%d %H:%M:%S}"' in html
    assert format_ago(timezone.now() + timedelta(seconds=30)) in {"in 29 s", "in 30 s"}


def test_the_list_loads_nothing_inline_and_its_script_is_a_file(staff: Any) -> None:
    failed_at(WorkflowExecutionFactory(), "a")
    ran(WorkflowFactory(), 10)
    html = page_of(staff)
    assert " style=" not in html
    assert "<script>" not in html
    assert "executions/relative_time.js" in html
