"""The front page: what is counted there is what its links list; each section fails by itself; nothing is scanned."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions import limits
from executions.admin.monitor import front_page
from executions.models import WorkflowExecution
from executions.tests.admin.monitor.front_page import (
    CONCURRENT,
    FRONT,
    count,
    ended_run,
    failed_at,
    front_page_of,
    numbers,
    section,
    sort_into_groups,
)
from executions.tests.admin.test_query_timeouts import lock_table
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from pastetrader.tests.proofs import times
from workflows.tests.factories import UserFactory, WorkflowFactory


class TestWhoSeesIt:
    def test_staff_who_may_view_runs(self, teammate: Any) -> None:
        html = front_page_of(teammate)
        assert '<div class="monitor">' in html
        assert '<nav class="site-nav"' in html  # in place of Django's list of applications

    def test_staff_who_may_not_see_the_stock_page(self, newcomer: Any) -> None:
        with CaptureQueriesContext(connection) as queries:
            html = front_page_of(newcomer)
        assert "monitor" not in html
        assert not any("workflow_executions" in query["sql"] for query in queries)

    def test_strangers_are_sent_to_the_login(self, stranger: Any) -> None:
        assert client_of(stranger).get(FRONT).status_code == 302
        assert Client().get(FRONT).status_code == 302

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
        assert [row.run.pk for row in sections["failed"].rows] == [mine.pk]
        assert sections["running"]["rows"] == sections["waiting"]["rows"] == []
        assert (sections["throughput"].completed.number, sections["throughput"].failed.number) == (0, 1)
        assert [each.name for each in sections["workflows"]] == ["mine"]


class TestNumbers:
    @pytest.mark.slow
    def test_each_is_the_length_of_the_list_that_it_links_to(self, staff: Any) -> None:
        random, client = Random(4), client_of(staff)
        flows = [WorkflowFactory(name=f"flow {i}") for i in range(4)]
        for _ in range(times(60, 150)):
            state = random.choice(["completed", "completed", "failed", "cancelled"])
            ended_run(state, timedelta(minutes=random.uniform(1, 12 * 24 * 60)), random.choice(flows))
        for number in range(20):
            run = failed_at(random.choice("ab"), f"KeyError: {number}", random.choice(flows[:2]))
            if number % 4:
                sort_into_groups(run)
        for _ in range(5):
            in_state(WorkflowExecutionFactory(workflow=flows[0], metadata=CONCURRENT), "running")
            WorkflowExecutionFactory(workflow=flows[1])
        seen = list(numbers(client.get(FRONT).content.decode()))
        assert len(seen) > 60  # 24 hours twice, tiles, groups, workflows
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
        flow = WorkflowFactory()
        for _ in range(3):
            WorkflowExecutionFactory(workflow=flow)
            sort_into_groups(ended_run("failed", timedelta(hours=1), flow))
        for _ in range(3):
            ended_run("failed", timedelta(minutes=1), flow)
        html = front_page_of(staff)
        assert html.count(">over 2</a>") == 3  # failed, waiting, of the group
        assert "Looked for among the newest 2 failures." in html


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
        monkeypatch.setattr(limits, "FRONT_PAGE_MS", 500)  # in which the others end on a busy machine too
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
        html = front_page_of(staff).partition('<div class="monitor">')[2].partition("<footer")[0]
        assert " style=" not in html
        assert "<style" not in html
        assert "<script" not in html
