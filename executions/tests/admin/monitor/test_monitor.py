"""The front page: what is counted there is what its links list; each section fails by itself; nothing is scanned."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import escape, unescape
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import limits
from executions.admin import duration_percentiles, recent_failures
from executions.admin.monitor import front_page, workflow_health
from executions.models import WorkflowExecution
from executions.tests.admin.test_slow import lock_table
from executions.tests.cast import permissions
from executions.tests.database.test_list_plans import only, plan, uses
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from pastetrader.tests.proofs import times
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

__all__ = ["only"]  # a fixture

FRONT = "/admin/"
NUMBER = re.compile(r'<a[^>]* href="(/admin/executions/workflowexecution/\?[^"]*)"[^>]*>([^<]*\d[^<]*)</a>')
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
CONCURRENT = {"allow_concurrent": True}


def front_page_of(user: Any) -> str:
    response = client_of(user).get(FRONT)
    assert response.status_code == 200
    return response.content.decode()


def found(user: Any, section: str) -> Any:
    return client_of(user).get(FRONT).context["monitor"][section].found


def ended_run(state: str, ago: timedelta, workflow: Workflow | None = None, seconds: float = 10) -> WorkflowExecution:
    """A run that ended so long ago."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow or WorkflowFactory()), state)
    end = timezone.now() - ago
    begin = end - timedelta(seconds=seconds)
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=begin, started_at=begin, ended_at=end)
    run.refresh_from_db()
    return run


def failed_at(node: str, error: str, workflow: Workflow, traceback: str | None = None) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    row, _made = workflow.nodes.get_or_create(name=node, defaults={"node_type": "tool"})
    in_state(NodeExecutionFactory(workflow_execution=run, node=row), "running").fail(error, traceback)
    run.fail("a node failed")
    return run


def section(html: str, name: str) -> str:
    return html.partition(f'aria-labelledby="monitor-{name}"')[2].partition("</section>")[0]


def numbers(html: str) -> Iterator[tuple[str, int]]:
    """Yield each link to a list of runs whose text is a number and perhaps a word, but no percentage or duration."""
    for address, text in NUMBER.findall(SVG.sub("", html)):
        if said := re.fullmatch(r"(?:All )?(\d+)(?: completed| failed)?", unescape(text).strip()):
            yield unescape(address), int(said[1])


def count(client: Client, address: str) -> int:
    """Return the number of rows on all pages of a list."""
    page = client.get(address).context["cl"]
    total = len(page.result_list)
    while page.older_link:
        page = client.get(address.partition("?")[0] + page.older_link).context["cl"]
        total += len(page.result_list)
    return total


class TestWhoSeesIt:
    def test_staff_who_may_view_runs(self, teammate: Any) -> None:
        html = front_page_of(teammate)
        assert '<div class="monitor">' in html
        assert 'id="executions-workflowexecution"' in html  # the list of applications stays

    def test_staff_who_may_not_see_the_stock_page(self, newcomer: Any) -> None:
        with CaptureQueriesContext(connection) as queries:
            html = front_page_of(newcomer)
        assert "monitor" not in html
        assert not any("workflow_executions" in query["sql"] for query in queries)

    def test_strangers_are_sent_to_the_login(self, stranger: Any, client: Client) -> None:
        assert client_of(stranger).get(FRONT).status_code == 302
        assert client.get(FRONT).status_code == 302

    def test_staff_who_may_change_but_not_view_count_their_own(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("change_workflowexecution"))
        mine = ended_run("failed", timedelta(hours=1), WorkflowFactory(owner=user, name="mine"))
        for state in ("completed", "failed"):
            ended_run(state, timedelta(hours=1), WorkflowFactory(name="of another"))
        in_state(WorkflowExecutionFactory(), "running")
        WorkflowExecutionFactory()
        page = client_of(user).get(FRONT)
        assert "of another" not in page.content.decode()
        sections = {name: each.found for name, each in page.context["monitor"].items()}
        assert [cause.newest.run.pk for cause in sections["failed"]["causes"]] == [mine.pk]
        assert sections["running"]["rows"] == sections["waiting"]["rows"] == []
        assert (sections["throughput"].completed.number, sections["throughput"].failed.number) == (0, 1)
        assert [each.name for each in sections["workflows"]] == ["mine"]


class TestNumbers:
    def test_each_is_the_length_of_the_list_that_it_links_to(self, staff: Any) -> None:
        random, client = Random(4), client_of(staff)
        flows = [WorkflowFactory(name=f"flow {i}") for i in range(4)]
        for _ in range(times(60, 150)):
            state = random.choice(["completed", "completed", "failed", "cancelled"])
            ended_run(state, timedelta(minutes=random.uniform(1, 12 * 24 * 60)), random.choice(flows))
        for number in range(20):
            failed_at(random.choice("ab"), f"KeyError: {number}", flows[0])
        for _ in range(5):
            in_state(WorkflowExecutionFactory(workflow=flows[0], metadata=CONCURRENT), "running")
            WorkflowExecutionFactory(workflow=flows[1])
        seen = list(numbers(client.get(FRONT).content.decode()))
        assert len(seen) > 60  # 24 hours twice, tiles, causes, workflows
        assert {address for address, _number in seen} >= {
            f"/admin/executions/workflowexecution/?{query}"
            for query in ("status=failed&ended=1", "status=running", "status=pending", "ended=1&status=completed")
        }
        bars = {address: number for address, number in seen if "ended_between=" in address}
        some = dict(list(bars.items())[:: times(4, 1)])
        others = {address: number for address, number in seen if address not in bars}
        for address, number in (others | some).items():
            assert count(client, address) == number, address

    def test_beyond_a_thousand_nobody_counts(self, staff: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "COUNTED_RUNS", 2)
        monkeypatch.setattr(limits, "GROUPED_FAILURES", 2)
        flow = WorkflowFactory()
        for _ in range(3):
            WorkflowExecutionFactory(workflow=flow)
            ended_run("failed", timedelta(hours=1), flow)
        html = front_page_of(staff)
        assert html.count(">over 2</a>") == 2  # failed, waiting
        assert "These are the causes of the newest 2 failures." in html


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


class TestWaiting:
    def reason(self, staff: Any, run: WorkflowExecution) -> str:
        return next(row.reason for row in found(staff, "waiting")["rows"] if row.run == run)

    def test_behind_another_run_of_its_workflow_to_which_it_links(self, staff: Any) -> None:
        at_work = in_state(WorkflowExecutionFactory(), "running")
        run = WorkflowExecutionFactory(workflow=at_work.workflow)
        assert self.reason(staff, run) == "another"
        html = section(front_page_of(staff), "waiting")
        assert f'<a href="/admin/executions/workflowexecution/{at_work.pk}/change/">Another run</a>' in html

    @pytest.mark.parametrize(("this", "other"), [(CONCURRENT, {}), ({}, CONCURRENT)])
    def test_where_one_of_them_may_run_beside_others_it_is_not_that(self, this: Any, other: Any, staff: Any) -> None:
        at_work = in_state(WorkflowExecutionFactory(metadata=other), "running")
        run = WorkflowExecutionFactory(workflow=at_work.workflow, metadata=this)
        assert self.reason(staff, run) == "engine"
        run.start()  # it could be, and so it was for an engine that it waited

    def test_for_its_workflow_to_be_active_or_out_of_the_trash(self, staff: Any) -> None:
        inactive = WorkflowExecutionFactory(workflow=WorkflowFactory(is_active=False))
        trashed = WorkflowExecutionFactory(workflow=WorkflowFactory(is_active=False))
        trashed.workflow.soft_delete()
        assert self.reason(staff, inactive) == "inactive"
        assert self.reason(staff, trashed) == "trash"
        html = front_page_of(staff)
        assert "Its workflow is inactive." in html
        assert "Its workflow is in the trash." in html

    def test_for_an_engine_and_for_how_long_the_oldest_first(self, staff: Any) -> None:
        young, old = WorkflowExecutionFactory(), WorkflowExecutionFactory()
        WorkflowExecution.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(minutes=5, seconds=2))
        assert [row.run.pk for row in found(staff, "waiting")["rows"]] == [old.pk, young.pk]
        html = section(front_page_of(staff), "waiting")
        assert "No engine has started it yet." in html
        assert re.search(r'<time class="clock"[^>]*>5 min \d s</time>', html)

    def test_those_that_wait_longest_are_chosen_whenever_they_were_created(self, staff: Any) -> None:
        flow, long_ago = WorkflowFactory(), timezone.now() - timedelta(hours=3)
        retried = [in_state(WorkflowExecutionFactory(workflow=flow), "failed") for _ in range(limits.FRONT_PAGE_ROWS)]
        WorkflowExecution.objects.filter(workflow=flow).update(created_at=long_ago)
        waiting = [WorkflowExecutionFactory(workflow=flow).pk for _ in range(limits.FRONT_PAGE_ROWS - 1)]
        for run in retried:
            run.refresh_from_db()
            run.retry()
        assert [row.run.pk for row in found(staff, "waiting")["rows"]] == [*waiting, retried[0].pk]

    def test_a_retried_failure_waits_with_what_it_failed_with(self, staff: Any) -> None:
        flow = WorkflowFactory()
        run = failed_at("load", "KeyError: 'close'", flow)
        created = timezone.now() - timedelta(hours=3)
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=created)
        run.refresh_from_db()
        run.retry()
        html = front_page_of(staff)
        waiting, failed = section(html, "waiting"), section(html, "failed")
        assert "Retried after the failure of load:" in waiting
        assert "KeyError: &#x27;close&#x27;" in waiting
        assert "No engine has started it yet." in waiting
        assert re.search(r'<time class="clock"[^>]*>(\d ms|\d+ ms|\d\.\d s)</time>', waiting)  # since the retry
        assert "Nothing has failed" not in failed
        assert "What failed was retried" in failed

    def test_a_retried_run_without_a_failed_node_says_its_own_error(self, staff: Any) -> None:
        run = in_state(WorkflowExecutionFactory(), "failed")
        run.retry()
        waiting = section(front_page_of(staff), "waiting")
        assert "Retried after its failure:" in waiting
        assert "went wrong" in waiting


class TestRunning:
    def test_the_longest_first_with_a_clock_and_a_word_where_it_is_slower_than_usual(self, staff: Any) -> None:
        flow = WorkflowFactory()
        for _ in range(duration_percentiles.MIN_RUNS):
            ended_run("completed", timedelta(hours=1), flow, seconds=60)
        young, old = (
            in_state(WorkflowExecutionFactory(workflow=flow, metadata=CONCURRENT), "running") for _ in range(2)
        )
        WorkflowExecution.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(seconds=90))
        assert [row.run.pk for row in found(staff, "running")["rows"]] == [old.pk, young.pk]
        html = section(front_page_of(staff), "running")
        assert html.count('<time class="clock"') == 2
        assert html.count('class="slow"') == 1


class TestHealth:
    def test_success_and_percentiles_of_each_workflow_the_busiest_first(self, staff: Any) -> None:
        busy, quiet = WorkflowFactory(name="busy"), WorkflowFactory(name="quiet")
        for seconds in range(1, 22):
            ended_run("completed", timedelta(days=2.5), busy, seconds)
        ended_run("failed", timedelta(days=1.5), busy)
        ended_run("completed", timedelta(days=8), busy, seconds=5000)
        ended_run("failed", timedelta(days=1), quiet)
        first, second = found(staff, "workflows")
        assert (first.name, first.success, first.p50, first.p95) == ("busy", 95.5, "11.0 s", "20.0 s")
        assert [bar.completed.number for bar in first.chart.bars] == [0, 0, 0, 0, 21, 0, 0]
        assert [bar.failed.number for bar in first.chart.bars] == [0, 0, 0, 0, 0, 1, 0]
        assert (second.name, second.success, second.p50) == ("quiet", 0.0, "–")
        assert "95.5 %" in section(front_page_of(staff), "workflows")

    def test_where_one_of_many_failed_it_is_not_100_percent(self) -> None:
        completed, failed = workflow_health.Count(99_999, ""), workflow_health.Count(1, "")
        each = workflow_health.Health(None, "", workflow_health.Chart([], completed, failed), completed, None)  # type: ignore[arg-type]  # the success rate reads no percentiles
        assert each.success == 99.9

    def test_throughput_is_drawn_by_the_hour_and_told_in_a_table(self, staff: Any) -> None:
        for hours in (0.5, 0.6, 3.5, 25):
            ended_run("completed", timedelta(hours=hours))
        ended_run("failed", timedelta(hours=23.5))
        bars = found(staff, "throughput").bars
        assert [(bar.place, bar.completed.number) for bar in bars if bar.completed.number] == [(20, 1), (23, 2)]
        assert [(bar.place, bar.failed.number) for bar in bars if bar.failed.number] == [(0, 1)]
        html = section(front_page_of(staff), "throughput")
        assert html.count('<rect class="completed"') == 2
        assert html.count('<th scope="row">') == 24


class TestStates:
    def test_an_empty_ledger_says_so_in_each_section(self, staff: Any) -> None:
        html = front_page_of(staff)
        for text in (
            "There is no run yet.",
            "Nothing is running.",
            "Nothing is waiting.",
            "No run was completed or failed in the last 24 hours.",
            "No run ended in the last 7 days.",
        ):
            assert text in html
        assert "could not be counted" not in html

    @pytest.mark.django_db(transaction=True)
    def test_a_section_that_takes_too_long_says_so_and_the_others_are_there(self, monkeypatch: Any) -> None:
        client = client_of(UserFactory(is_staff=True, is_superuser=True))
        failed_at("load", "went wrong", WorkflowFactory())
        in_state(WorkflowExecutionFactory(workflow__name="still here"), "running")
        monkeypatch.setattr(limits, "FRONT_PAGE_MS", 100)
        with lock_table("node_executions"):
            html = client.get(FRONT).content.decode()
        failed = section(html, "failed")
        assert "This could not be counted in time." in failed
        assert "/admin/executions/workflowexecution/?status=failed&amp;ended=1" in failed
        assert "Nothing has failed" not in html
        assert html.count("could not be counted") == 1
        assert "not known" in html  # its tile
        assert "still here" in section(html, "running")

    def test_a_section_whose_question_breaks_is_not_the_end_of_the_page(self, staff: Any, monkeypatch: Any) -> None:
        def broken(user: Any) -> Any:
            return list(WorkflowExecution.objects.extra(where=["nonsense"]))

        monkeypatch.setitem(front_page.SECTIONS, "waiting", (broken, {"status": "pending"}))
        html = front_page_of(staff)
        assert "could not be counted" in section(html, "waiting")
        assert "Nothing is running." in html

    def test_markup_in_a_name_or_an_error_is_text(self, staff: Any) -> None:
        markup = "<script>alert(1)</script>"
        failed_at(markup, markup, WorkflowFactory(name=markup))
        in_state(WorkflowExecutionFactory(workflow__name=markup), "running")
        assert markup not in front_page_of(staff)

    def test_it_loads_nothing_inline(self, staff: Any) -> None:
        for state in ("completed", "failed"):
            ended_run(state, timedelta(hours=1))
        html = front_page_of(staff).partition('<div class="monitor">')[2].partition("app-list")[0]
        assert " style=" not in html
        assert "<style" not in html
        assert "<script" not in html


class TestWhatItAsks:
    def test_as_many_questions_for_many_rows_as_for_few(self, staff: Any) -> None:
        client = client_of(staff)

        def fill(number: int) -> None:
            for _ in range(number):
                flow = WorkflowFactory()
                failed_at("load", "went wrong", flow)
                ended_run("completed", timedelta(hours=1), flow)
                in_state(WorkflowExecutionFactory(workflow=flow), "running")
                WorkflowExecutionFactory(workflow=flow)

        fill(2)
        client.get(FRONT)
        with CaptureQueriesContext(connection) as few:
            client.get(FRONT)
        fill(20)
        with CaptureQueriesContext(connection) as many:
            client.get(FRONT)
        assert len(many) == len(few) <= 45  # three of them for each section

    def test_no_payload_is_read_and_of_a_traceback_its_end_alone(self, staff: Any) -> None:
        failed_at("load", "went wrong", WorkflowFactory())
        with CaptureQueriesContext(connection) as queries:
            client_of(staff).get(FRONT)
        sql = "\n".join(query["sql"] for query in queries)
        assert f'RIGHT("node_executions"."error_traceback", {recent_failures.TRACEBACK_END})' in sql
        assert not re.search(r'input_data|output_data|(?<!RIGHT\("node_executions"\.")error_traceback', sql)
        assert '."context"' not in sql

    @pytest.mark.parametrize(
        "question",
        [
            lambda: duration_percentiles.completed_runs(workflow__in=[WorkflowFactory().pk]),
            lambda: workflow_health._by_workflow(
                UserFactory(is_superuser=True, is_staff=True), workflow_health._bounds(7, DAY)
            ),
            lambda: _by_hour().values("place").annotate(**workflow_health.OF_STATUS),
        ],
    )
    def test_what_is_counted_of_a_period_is_counted_in_the_index_alone(self, only: Any, question: Any) -> None:
        ended_run("completed", timedelta(hours=1))
        only("workflow_executions", "idx_workflow_executions_ended")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        found = plan(question())
        assert "Index Only Scan using idx_workflow_executions_ended on" in found
        assert "Index Cond: (ended_at >=" in found

    def test_the_failures_of_a_period_are_found_by_their_end(self, only: Any, staff: Any) -> None:
        only("workflow_executions", "idx_workflow_executions_ended")
        since = timezone.now() - recent_failures.PERIOD
        runs = WorkflowExecution.objects.failed().filter(ended_at__gte=since).order_by("-ended_at", "-id")
        found = plan(runs[: limits.GROUPED_FAILURES])
        assert uses(found, "idx_workflow_executions_ended")
        assert "Index Cond: (ended_at >=" in found

    def test_what_waits_is_read_off_its_own_index_the_oldest_first(self, only: Any) -> None:
        only("workflow_executions", "idx_workflow_executions_waiting")
        found = plan(WorkflowExecution.objects.filter(status="pending").order_by("created_at", "id")[:10])
        assert uses(found, "idx_workflow_executions_waiting")
        assert "Sort" not in found


DAY = timedelta(days=1)


def _by_hour() -> Any:
    return workflow_health._count_statuses(
        UserFactory(is_superuser=True, is_staff=True), workflow_health._bounds(24, timedelta(hours=1))
    )
