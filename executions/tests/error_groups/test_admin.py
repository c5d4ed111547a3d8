"""Pages of the groups of errors, and the groups on the pages of a failed run and its nodes."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions.admin.error_groups import forms
from executions.admin.error_groups.rows import group_url
from executions.error_groups import group_changes
from executions.error_groups.scan import scan
from executions.models import ErrorGroup, ErrorGroupChange, WorkflowExecution
from executions.tests.error_groups.test_recording import TRACEBACK, failed_run, run_with_failed_nodes
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed

LIST = "/admin/executions/errorgroup/"


def signed_in(*codenames: str) -> Client:
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return client_of(user)


@pytest.fixture
def operator(transactional_db: None) -> Client:
    scan()
    return signed_in(
        "view_errorgroup", "change_errorgroup", "view_workflowexecution", "view_nodeexecution", "view_workflow"
    )


def page_of(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response
    return response.content.decode()


def run_page(run: WorkflowExecution) -> str:
    return reverse("admin:executions_workflowexecution_change", args=[run.pk])


def post(client: Client, group: ErrorGroup, act: str, **values: Any) -> str:
    response = client.post(f"{LIST}{group.pk}/{act}/", values, follow=True)
    return response.content.decode()


class TestList:
    def test_the_newest_group_comes_first(self, operator: Client, workflow: Workflow) -> None:
        for message in ("no prices", "no server", "no prices"):
            failed_run(workflow, message)
            scan()
        html = page_of(operator, LIST)
        assert html.index("no server") < html.index("no prices")
        assert html.count(">new<") == 2

    def test_groups_of_one_message_are_told_apart_by_the_place_that_failed(
        self, operator: Client, workflow: Workflow
    ) -> None:
        for place in ("load", "rank"):
            run_with_failed_nodes(
                workflow, ("fetch", "no prices", TRACEBACK.format(line=41).replace("in fetch", f"in {place}"))
            )
            scan()
        html = page_of(operator, LIST)
        assert [f"prices.py: {place}</span>" in html for place in ("load", "rank")] == [True, True]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"state": "open"}, "no prices"),
            ({"state": "resolved"}, "no server"),
            ({"q": "server"}, "no server"),
            ({"assignee": "nobody", "state": "open"}, "no prices"),
            ({"period": "1", "first_seen": "today", "state": "open"}, "no prices"),
        ],
    )
    def test_filters(self, operator: Client, workflow: Workflow, query: dict[str, str], found: str) -> None:
        failed_run(workflow, "no prices")
        failed_run(workflow, "no server")
        scan()
        ErrorGroup.objects.filter(title="no server").update(state="resolved", resolved_at=timezone.now())
        html = page_of(operator, LIST, **query)
        assert [title for title in ("no prices", "no server") if f"{title}</a>" in html] == [found]

    def test_by_workflow(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow, "no prices")
        other = WorkflowFactory()
        failed_run(other, "no server")
        scan()
        html = page_of(operator, LIST, workflow=str(other.pk))
        assert "no server</a>" in html
        assert "no prices</a>" not in html

    def test_upkeep_is_named_in_the_language_of_the_page(self, operator: Client, workflow: Workflow) -> None:
        one, _other = two_groups(workflow)
        assert ">upkeep</td>" in page_of(operator, group_url(one.pk))
        operator.defaults["HTTP_ACCEPT_LANGUAGE"] = "ko"
        html = page_of(operator, group_url(one.pk))
        assert ">유지 관리</td>" in html
        assert ">upkeep</td>" not in html

    def test_one_group_alone_is_refused_before_the_question(self, operator: Client, workflow: Workflow) -> None:
        one, _other = two_groups(workflow)
        answer = operator.post(LIST, {"action": "merge", "_selected_action": [str(one.pk)]}, follow=True)
        html = answer.content.decode()
        assert "Merge 1" not in html
        assert str(group_changes.NO_OTHERS) in html

    def test_groups_that_were_merged_are_left_out(self, operator: Client, workflow: Workflow) -> None:
        one, other = two_groups(workflow)
        answer = operator.post(LIST, {"action": "merge", "_selected_action": [str(one.pk), str(other.pk)]})
        assert "They become one group" in answer.content.decode()
        sent = {"action": "merge", "_selected_action": [str(one.pk), str(other.pk)], "confirmed": "1", "reason": "same"}
        operator.post(LIST, sent)
        html = page_of(operator, LIST)
        assert html.count('<th class="field-error') == 1
        assert operator.get(group_url(other.pk)).headers["Location"] == group_url(one.pk)

    @pytest.mark.parametrize(("action", "state"), [("acknowledge", "acknowledged"), ("resolve", "resolved")])
    def test_actions_on_several(self, operator: Client, workflow: Workflow, action: str, state: str) -> None:
        groups = two_groups(workflow)
        sent = {"action": action, "_selected_action": [str(each.pk) for each in groups], "confirmed": "1"}
        operator.post(LIST, sent | {"reason": "seen"})
        assert set(ErrorGroup.objects.values_list("state", flat=True)) == {state}
        assert set(ErrorGroupChange.objects.filter(act="change").values_list("reason", "through")) == {
            ("seen", "admin")
        }


def two_groups(workflow: Workflow) -> tuple[ErrorGroup, ErrorGroup]:
    failed_run(workflow, "no prices")
    failed_run(workflow, "no server")
    scan()
    one, other = ErrorGroup.objects.order_by("first_seen")
    return one, other


def failed_group(workflow: Workflow) -> ErrorGroup:
    failed_run(workflow)
    scan()
    return ErrorGroup.objects.get()


class TestPage:
    def test_it_shows_the_failure_and_what_it_was_grouped_by(self, operator: Client, workflow: Workflow) -> None:
        run = run_with_failed_nodes(workflow, ("load", "'close'", TRACEBACK.format(line=3)))
        scan()
        html = page_of(operator, group_url(ErrorGroup.objects.get().pk))
        assert "KeyError: “…”" in html
        assert "jobs/prices.py: fetch" in html
        assert f"{run_page(run)}?node={run.node_executions.get().pk}#node" in html
        assert f"{timezone.now():%Y-%m-%d}: 1</title>" in html

    def test_it_takes_as_many_queries_for_many_failures_as_for_one(
        self, operator: Client, workflow: Workflow, django_assert_max_num_queries: Callable[[int], Any]
    ) -> None:
        for n in range(5):
            failed_run(workflow if n % 2 else WorkflowFactory(owner=workflow.owner))
        scan()
        with django_assert_max_num_queries(20):
            page_of(operator, group_url(ErrorGroup.objects.get().pk))

    def test_the_state_the_assignee_and_the_reason(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        group, colleague = ErrorGroup.objects.get(), UserFactory(is_staff=True)
        until = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        values = {"state": "muted", "muted_until": until, "assignee": colleague.pk, "reason": "known at the vendor"}
        post(operator, group, "change-state", version=group.version, **values)
        group.refresh_from_db()
        assert (group.state, group.assignee_id) == ("muted", colleague.pk)
        assert "known at the vendor" in page_of(operator, group_url(group.pk))

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"state": "muted"}, "Say until when it is muted."),
            ({"state": "muted", "muted_until": "2020-01-01T00:00"}, "This time is over"),
            ({"state": "gone"}, "Select a valid choice"),
            ({"state": "resolved", "version": 77}, "it changed since it was read"),
        ],
    )
    def test_what_does_not_fit_is_said(
        self, operator: Client, workflow: Workflow, values: dict[str, Any], sentence: str
    ) -> None:
        failed_run(workflow)
        scan()
        group = ErrorGroup.objects.get()
        assert sentence in post(operator, group, "change-state", **{"version": group.version} | values)
        assert ErrorGroup.objects.get().state == "open"

    def test_the_form_is_shown_again_with_its_faults_and_what_was_typed(
        self, operator: Client, workflow: Workflow
    ) -> None:
        group, colleague = failed_group(workflow), UserFactory(is_staff=True)
        typed = {"version": group.version, "assignee": colleague.pk, "reason": "known at the vendor"}
        for values, sentence in (
            ({"state": "muted", "muted_until": "2020-01-01T00:00"}, "This time is over: choose a later one."),
            ({"state": "gone", "muted_until": "soon"}, "Enter a valid date/time."),
        ):
            answer = operator.post(f"{LIST}{group.pk}/change-state/", typed | values)
            html = answer.content.decode()
            assert answer.status_code == 200
            assert sentence in html[html.index(">Change</h2>") :]
            assert 'value="known at the vendor"' in html
            assert f'<option value="{colleague.pk}" selected>' in html
            assert f'value="{values["muted_until"]}"' in html
        assert operator.get(f"{LIST}{group.pk}/change-state/").headers["Location"] == group_url(group.pk)

    def test_assignees_are_in_the_order_of_their_names_and_it_says_if_there_are_more(
        self, operator: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = failed_group(workflow)
        for name in ("zoe", "ann", "mia", "ben"):
            UserFactory(username=name, is_staff=True)
        UserFactory(username="abe", is_staff=False)
        more = "staff users by name; the API takes all of them."
        html = page_of(operator, group_url(group.pk))
        assert [name for name in re.findall(r'<option value="\d+">(\w+)</option>', html) if len(name) == 3] == [
            "ann", "ben", "mia", "zoe",
        ]  # fmt: skip
        assert more not in html
        monkeypatch.setattr(forms, "MOST_USERS", 2)
        ErrorGroup.objects.update(assignee=type(workflow.owner).objects.get(username="zoe"))
        html = page_of(operator, group_url(group.pk))
        assert re.findall(r'<option value="\d+"(?: selected)?>(\w+)</option>', html) == ["ann", "ben", "zoe"]
        assert f"The first 2 {more}" in html

    def test_a_form_that_is_stale_keeps_the_text_and_may_be_sent_again(
        self, operator: Client, workflow: Workflow
    ) -> None:
        group = failed_group(workflow)
        read = group.version
        group_changes.change(group, state="acknowledged")
        typed = {"version": read, "state": "resolved", "reason": "known at the vendor"}
        html = post(operator, group, "change-state", **typed)
        assert "it changed since it was read" in html
        assert 'value="known at the vendor"' in html
        assert f'name="version" value="{group.version}"' in html
        post(operator, group, "change-state", **typed | {"version": group.version})
        assert ErrorGroup.objects.get().state == "resolved"

    def test_a_note_is_kept_without_secrets(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        html = post(
            operator, ErrorGroup.objects.get(), "note", text="token=ghp_0123456789abcdef0123456789abcdef0123 failed"
        )
        assert "ghp_0123" not in html
        assert ErrorGroupChange.objects.filter(act="note").count() == 1

    def test_a_split_holds_for_later_failures_too(self, operator: Client, workflow: Workflow) -> None:
        other = WorkflowFactory(owner=workflow.owner)
        failed_run(workflow)
        failed_run(other)
        scan()
        group = ErrorGroup.objects.get()
        post(
            operator, group, "split", fingerprint=str(group.fingerprints.get(workflow=other).pk), reason="not the same"
        )
        failed_run(other)
        failed_run(other)
        scan()
        assert sorted(ErrorGroup.objects.values_list("seen", flat=True)) == [1, 3]

    def test_a_merge_holds_for_later_failures_too(self, operator: Client, workflow: Workflow) -> None:
        one, other = two_groups(workflow)
        sent = {"action": "merge", "_selected_action": [str(one.pk), str(other.pk)], "confirmed": "1"}
        operator.post(LIST, sent)
        failed_run(workflow, "no server")
        scan()
        one.refresh_from_db()
        assert (one.seen, one.fingerprints.count()) == (3, 2)

    def test_the_last_fingerprint_cannot_be_split_off(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        group = ErrorGroup.objects.get()
        sentence = "Choose at least one fingerprint, and leave at least one."
        assert sentence in post(operator, group, "split", fingerprint=str(group.fingerprints.get().pk))

    def test_a_page_whose_runs_were_removed(self, operator: Client, workflow: Workflow) -> None:
        WorkflowExecution.objects.filter(pk__in=[failed_run(workflow).pk]).exists()
        scan()
        WorkflowExecution.objects.all().delete()
        assert "Their runs have been removed" in page_of(operator, group_url(ErrorGroup.objects.get().pk))


class TestRights:
    def test_a_viewer_changes_nothing(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        group, viewer = ErrorGroup.objects.get(), signed_in("view_errorgroup")
        html = page_of(viewer, group_url(group.pk))
        assert "Add the note" not in html
        for act in ("change-state", "note", "split"):
            assert viewer.post(f"{LIST}{group.pk}/{act}/", {"text": "x"}).status_code == 403
        assert "no prices" not in html

    def test_without_the_permission_there_is_no_page(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        nobody = signed_in("view_workflowexecution")
        assert nobody.get(LIST).status_code == 403
        assert nobody.get(group_url(ErrorGroup.objects.get().pk)).status_code == 403
        assert "First seen" not in page_of(nobody, run_page(WorkflowExecution.objects.get()))

    def test_a_viewer_of_groups_alone_sees_no_error_of_a_run(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow, "no prices for 'ABC'")
        scan()
        assert "ABC" not in page_of(signed_in("view_errorgroup"), group_url(ErrorGroup.objects.get().pk))


class TestFailedRun:
    def test_a_first_failure_is_new(self, operator: Client, workflow: Workflow) -> None:
        run = failed_run(workflow)
        assert "No failure like this was seen before." in page_of(operator, run_page(run))
        scan()
        assert group_url(ErrorGroup.objects.get().pk) in page_of(operator, run_page(run))

    def test_a_failure_that_is_known_says_since_when(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        scan()
        ErrorGroup.objects.update(first_seen=timezone.now() - timedelta(days=3))
        run = failed_run(workflow)
        assert "First seen 3\xa0days ago, 1 time" in page_of(operator, run_page(run))  # before it is recorded
        scan()
        ErrorGroup.objects.update(first_seen=timezone.now() - timedelta(days=3))
        assert "First seen 3\xa0days ago, 2 times" in page_of(operator, run_page(run))

    def test_a_node_says_it_too(self, operator: Client, workflow: Workflow) -> None:
        for _ in range(2):
            run = run_with_failed_nodes(workflow, ("load", "'close'", TRACEBACK.format(line=3)))
        scan()
        node = run.node_executions.get()
        page = reverse("admin:executions_nodeexecution_change", args=[node.pk])
        for html in (page_of(operator, page), page_of(operator, run_page(run), node=str(node.pk))):
            assert "2 times" in html

    def test_nothing_is_said_where_nobody_looks_for_failures(self, workflow: Workflow) -> None:
        run = failed_run(workflow)
        html = page_of(signed_in("view_errorgroup", "view_workflowexecution"), run_page(run))
        assert "No failure like this" not in html


class TestMonitor:
    def test_groups_of_the_last_day_are_listed_new_ones_first(self, operator: Client, workflow: Workflow) -> None:
        for message in ("no prices", "no server", "no memory", "no prices"):
            failed_run(workflow, message)
            scan()
        ErrorGroup.objects.filter(title="no memory").update(state="resolved", resolved_at=timezone.now())
        html = page_of(operator, "/admin/")
        shown = html[html.index('id="monitor-failed"') : html.index('id="monitor-running"')]
        assert shown.index("no server") < shown.index("no prices")
        assert "no memory" not in shown

    def test_a_user_who_may_not_see_groups_sees_none(self, operator: Client, workflow: Workflow) -> None:
        failed_run(workflow)
        scan()
        assert "errorgroup" not in page_of(signed_in("view_workflowexecution"), "/admin/")
