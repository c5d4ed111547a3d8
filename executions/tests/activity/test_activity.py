"""Activity: who did what, across runs, definitions and tokens."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import partitions
from executions.admin import exports
from executions.audit import Through, act_as
from executions.bulk import runner
from executions.error_groups import group_changes
from executions.models import (
    Activity,
    ErrorFingerprint,
    ErrorGroup,
    HistoryEntry,
    KeptRun,
    WorkflowExecution,
)
from executions.tests.bulk.test_work import begin
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from tokens.models import Token
from workflows.models import Workflow
from workflows.secret_keys import MASK
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
ACTIVITY = "/admin/executions/activity/"
MISSING = "019ab0c4-0000-7000-8000-0000000000ff"


def done_by(user: Any, through: Through = Through.ADMIN, **actor: Any) -> WorkflowExecution:
    """Return a run that the user cancelled."""
    run = WorkflowExecutionFactory()
    with act_as(through=through, user=user, **actor):
        run.cancel()
    return run


def shown(user: Any, query: str = "") -> str:
    html = str(client_of(user).get(f"{ACTIVITY}{query}").content.decode())
    return html[html.index('id="result_list"') :] if 'id="result_list"' in html else ""


def entry_at(moment: Any, run: WorkflowExecution, **fields: Any) -> None:
    """Insert an entry of another time: its id is of that time."""
    HistoryEntry.objects.create(
        pk=partitions.bound(moment), workflow_execution=run, attempt=1, to_status="cancelled", act="cancel",
        through="admin", happened_at=moment, **fields,
    )  # fmt: skip


def group_of(workflow: Workflow, **fields: Any) -> ErrorGroup:
    """Return a group with a fingerprint of the workflow."""
    now = timezone.now()
    group: ErrorGroup = ErrorGroup.objects.create(first_seen=now, last_seen=now, **fields)
    fingerprint_of(group, workflow)
    return group


def fingerprint_of(group: ErrorGroup, workflow: Workflow) -> None:
    seen = {"first_seen": group.first_seen, "last_seen": group.last_seen}
    ErrorFingerprint.objects.create(workflow=workflow, group=group, digest=uuid7().hex, rule="message", **seen)


class TestWhatIsShown:
    def test_moves_deletions_changes_and_bulk_actions_newest_first(self, staff: Any, ann: Any) -> None:
        with act_as(through=Through.ADMIN, user=ann):
            run = WorkflowExecutionFactory(workflow__name="prices")
            begin(ann.__class__.objects.get(username="staff"), "cancel")
            run.cancel()
        with act_as(through=Through.ADMIN, user=ann, reason="a rehearsal"):
            run.delete()
        kinds = list(Activity.objects.filter(username__in=["ann", "staff"]).values_list("kind", flat=True))
        assert kinds == ["deletion", "bulk_action", "workflow"]  # the history of the run went with it
        html = shown(staff)
        assert "a rehearsal" in html
        assert html.index("a rehearsal") < html.index("the feed is wrong")
        assert f"/admin/executions/deletion/?q={run.pk or ''}"[:28] in html

    def test_a_row_says_who_what_of_what_and_why_and_leads_there(self, staff: Any, ann: Any) -> None:
        run = done_by(ann, reason="the feed is wrong")
        html = shown(staff)
        row = html[: html.index("the feed is wrong")]
        assert f'href="{ACTIVITY}?user=ann"' in row
        assert f"/admin/executions/workflowexecution/{run.pk}/change/#history" in row
        assert "cancel" in row
        assert "status-cancelled" in row

    def test_a_node_is_named_and_a_row_of_a_token_leads_to_what_it_did(self, staff: Any, api: Any) -> None:
        node = in_state(NodeExecutionFactory(), "running")
        client = api(staff)
        client.post(f"/api/v1/node-executions/{node.pk}/cancel/", {}, format="json")
        html = shown(staff, "?through=api")
        assert f"?node={node.pk}#node" in html
        assert node.node.name in html
        assert f'href="{ACTIVITY}?token={Token.objects.get().pk}"' in html

    def test_the_statements_do_not_grow_with_the_rows(self, staff: Any, ann: Any) -> None:
        client, counts = client_of(staff), []
        for number in (1, 9):
            for _ in range(number):
                done_by(ann)
            with CaptureQueriesContext(connection) as queries:
                client.get(f"{ACTIVITY}?user=ann")
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestGroupsOfErrors:
    """Changes of groups of errors, to those who may view groups."""

    def test_each_act_is_named_by_what_it_changed(self, staff: Any, ann: Any, workflow: Workflow) -> None:
        group, other = group_of(workflow, title="no prices"), group_of(workflow)
        later = timezone.now() + timedelta(days=1)
        with act_as(through=Through.ADMIN, user=ann):
            group_changes.change(group, "known at the vendor", state="acknowledged")
            group_changes.change(group, state="muted", muted_until=later)
            group_changes.change(group, muted_until=later + timedelta(days=1))
            group_changes.change(group, state="resolved")
            group_changes.change(group, state="open", assignee=staff)
            group_changes.change(group, assignee=ann)
            group_changes.note(group, "the vendor was asked")
            group_changes.merge(group, [other])
            made = group_changes.split(group, [group.fingerprints.values_list("pk", flat=True)[0]])
        of_groups = Activity.objects.filter(kind="error_group", username="ann").order_by("id")
        changes = ["acknowledge", "mute", "mute", "resolve", "reopen", "assign", "note"]
        acts = [*changes, "merge", "merge", "new", "split", "split"]
        assert list(of_groups.values_list("act", flat=True)) == acts
        assert set(of_groups.values_list("subject_id", flat=True)) == {group.pk, other.pk, made.pk}
        html = shown(staff, "?kind=error_group&user=ann")
        texts = ["no prices", "the vendor was asked", "open again", "known at the vendor"]
        assert [text for text in texts if text in html] == texts
        assert f"/admin/executions/errorgroup/{group.pk}/change/#history" in html
        assert html.count("<tr") - 1 == len(acts)

    def test_only_those_who_may_view_groups_see_them(self, ann: Any, owner: Any, workflow: Workflow) -> None:
        group_changes.note(group_of(workflow), "the vendor was asked")
        for codename, expected in (("view_workflowexecution", False), ("view_errorgroup", True)):
            ann.user_permissions.set(permissions(codename))
            user = type(ann).objects.get(pk=ann.pk)
            assert Activity.objects.visible_to(user).filter(kind="error_group").exists() == expected
            assert ("the vendor was asked" in shown(user)) == expected
        assert not Activity.objects.visible_to(owner).exists()

    def test_the_filter_by_a_workflow_finds_groups_of_it_alone(self, staff: Any, ann: Any, workflow: Workflow) -> None:
        group, other = group_of(workflow), WorkflowFactory()
        group_changes.note(group, "the vendor was asked")
        assert "the vendor was asked" in shown(staff, f"?workflow={workflow.pk}")
        assert "the vendor was asked" not in shown(staff, f"?workflow={other.pk}")
        fingerprint_of(group, other)
        for mixed in (workflow, other):
            assert "the vendor was asked" not in shown(staff, f"?workflow={mixed.pk}")

    def test_the_statements_do_not_grow_with_the_groups(self, staff: Any, workflow: Workflow) -> None:
        client, counts = client_of(staff), []
        for number in (1, 9):
            for _ in range(number):
                group_changes.note(group_of(workflow), "the vendor was asked")
            with CaptureQueriesContext(connection) as queries:
                client.get(f"{ACTIVITY}?kind=error_group")
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestKeptRunsAndStoppedActions:
    def test_a_run_that_was_kept_and_released(self, staff: Any, ann: Any) -> None:
        run = WorkflowExecutionFactory(context={"secrets": {"key": "sesame-opens"}})
        with act_as(through=Through.ADMIN, user=ann):
            KeptRun.keep(run, "as sesame-opens was refused")
            KeptRun.keep(run, "as sesame-opens was refused")  # the same: no entry
            KeptRun.release(run)
            KeptRun.release(run)
        found = Activity.objects.filter(username="ann", run_id=run.pk, act__in=["keep", "release"]).order_by("id")
        assert list(found.values_list("kind", "act", "reason")) == [
            ("execution", "keep", f"as {MASK} was refused"), ("execution", "release", ""),
        ]  # fmt: skip
        html = shown(staff, f"?workflow_execution={run.pk}&user=ann")
        assert "keep no longer" in html
        assert f"/admin/executions/workflowexecution/{run.pk}/change/#history" in html

    def test_a_bulk_action_that_was_stopped(self, staff: Any, ann: Any) -> None:
        WorkflowExecutionFactory()
        action = begin(staff, "cancel")
        with act_as(through=Through.ADMIN, user=ann):
            assert runner.stop(action, "ann")
            assert not runner.stop(action, "ann")
        html = shown(staff, "?user=ann&kind=bulk_action")
        assert html.count(f"/admin/executions/bulkaction/{action.pk}/change/") == 1
        assert ">stop</td>" in html

    def test_one_that_the_server_stopped_says_why(self, staff: Any) -> None:
        WorkflowExecutionFactory()
        action = begin(staff, "cancel")
        type(staff).objects.update(is_active=False)
        runner.work_open()
        assert Activity.objects.get(act="stop", subject_id=action.pk).reason == runner.NOBODY


class TestFilters:
    def test_what_did_a_user_do_yesterday(self, staff: Any, ann: Any) -> None:
        run, now = WorkflowExecutionFactory(), timezone.localtime()
        noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
        for days, reason in ((0, "of today"), (1, "of yesterday"), (2, "of the day before")):
            entry_at(noon - timedelta(days=days), run, username="ann", reason=reason)
        entry_at(noon - timedelta(days=1, seconds=1), run, username="bob", reason="of another")
        html = shown(staff, "?user=ann&period=yesterday")
        assert re.findall(r"of (?:today|yesterday|the day before|another)", html) == ["of yesterday"]

    def test_me_is_the_reader(self, staff: Any, ann: Any) -> None:
        done_by(ann, reason="of ann")
        done_by(staff, reason="of staff")
        html = shown(staff, "?user=me")
        assert ("of staff" in html, "of ann" in html) == (True, False)

    def test_a_user_is_what_somebody_did_without_a_token_and_a_token_what_was_done_with_it(
        self, staff: Any, api: Any
    ) -> None:
        with_token, run = WorkflowExecutionFactory(), done_by(staff)
        api(staff).post(f"/api/v1/executions/{with_token.pk}/cancel/", {}, format="json")
        token = Token.objects.get()
        by_user, by_token = shown(staff, "?user=staff"), shown(staff, f"?token={token.pk}")
        assert (str(run.pk) in by_user, str(with_token.pk) in by_user) == (True, False)
        assert (str(run.pk) in by_token, str(with_token.pk) in by_token) == (False, True)

    def test_through_kind_run_and_workflow(self, staff: Any, ann: Any, workflow: Workflow) -> None:
        here = WorkflowExecutionFactory(workflow=workflow)
        with act_as(through=Through.COMMAND, name="root"):
            here.cancel()
        there = done_by(ann)
        for query in ("?through=command", f"?workflow_execution={here.pk}", f"?workflow={workflow.pk}"):
            html = shown(staff, query)
            assert (str(here.pk) in html, str(there.pk) in html) == (True, False), query
        html = shown(staff, "?kind=workflow,deletion")
        assert (workflow.name in html, str(there.pk) in html) == (True, False)

    def test_the_search_takes_an_id(self, staff: Any, ann: Any) -> None:
        run, other = done_by(ann), done_by(ann)
        html = shown(staff, f"?q={run.pk}")
        assert (str(run.pk) in html, str(other.pk) in html) == (True, False)

    @pytest.mark.parametrize("length", [8, 14, 35])
    def test_the_search_takes_the_first_characters_of_an_id(self, staff: Any, length: int) -> None:
        old = WorkflowExecutionFactory(pk=partitions.bound(timezone.now() - timedelta(days=2)))
        new = WorkflowExecutionFactory()
        old.cancel()
        new.cancel()
        for run, other in ((old, new), (new, old)):
            html = shown(staff, f"?q={str(run.pk)[:length].upper()}")
            assert (str(run.pk) in html, str(other.pk) in html) == (True, False)
        assert str(old.pk) not in shown(staff, f"?q={str(old.pk)[:7]}")


class TestExport:
    def test_has_the_rows_of_the_filters_as_csv_and_ndjson(
        self, staff: Any, ann: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The stream gives its connection back after each part; that of the test has the transaction.
        monkeypatch.setattr(exports, "connection", type("Kept", (), {"close": staticmethod(lambda: None)}))
        run, other = done_by(ann, reason="the feed is wrong"), done_by(staff)
        for kind in ("csv", "ndjson"):
            response = client_of(staff).get(f"{ACTIVITY}?user=ann&export={kind}")
            text = response.getvalue().decode()
            assert (text.count(str(run.pk)), text.count(str(other.pk))) == (1, 0), kind
            assert "the feed is wrong" in text


class TestRights:
    def test_each_kind_is_for_those_who_may_view_its_records(self, ann: Any, staff: Any, workflow: Workflow) -> None:
        node = in_state(NodeExecutionFactory(), "running")
        run = done_by(staff)
        run.delete()

        def kinds(*codenames: str) -> set[str]:
            ann.user_permissions.set(permissions(*codenames))
            user = type(ann).objects.get(pk=ann.pk)
            return set(Activity.objects.visible_to(user).values_list("kind", flat=True))

        assert kinds() == set()
        assert kinds("view_workflowexecution") == {"execution"}
        assert kinds("view_deletion") == {"deletion"}
        assert "workflow" in kinds("view_definitionchange")
        seen = Activity.objects.visible_to(ann)
        assert not seen.filter(node_id=node.pk).exists()

    def test_without_one_of_them_it_is_refused(self, ann: Any, owner: Any) -> None:
        assert client_of(ann).get(ACTIVITY).status_code == 403
        assert not Activity.objects.visible_to(owner).exists()

    def test_nobody_changes_it(self, staff: Any, ann: Any) -> None:
        done_by(ann)
        pk = Activity.objects.first().pk  # type: ignore[union-attr]  # there is one
        response = client_of(staff).get(f"{ACTIVITY}{pk}/change/")
        assert response.headers["Location"] == ACTIVITY
        assert client_of(staff).post(f"{ACTIVITY}{pk}/delete/").status_code == 403


class TestWays:
    def test_users_tokens_runs_and_workflows_lead_to_it(self, staff: Any, ann: Any, api: Any) -> None:
        run = done_by(ann)
        api(staff)
        token = Token.objects.get()
        for page, query in (
            (f"/admin/auth/user/{ann.pk}/change/", "user=ann"),
            (f"/admin/tokens/token/{token.pk}/change/", f"token={token.pk}"),
            (f"/admin/executions/workflowexecution/{run.pk}/change/", f"workflow_execution={run.pk}"),
            (f"/admin/workflows/workflow/{run.workflow_id}/", f"workflow={run.workflow_id}"),
        ):
            assert f"{ACTIVITY}?{query}" in client_of(staff).get(page).content.decode(), page

    def test_pages_of_those_who_may_not_view_it_do_not(self, ann: Any, api: Any, staff: Any) -> None:
        api(staff)
        pages = (
            f"/admin/auth/user/{staff.pk}/change/",
            f"/admin/tokens/token/{Token.objects.get().pk}/change/",
        )
        codenames = ["view_user", "view_token"]
        for more, expected in ((), False), (("view_deletion",), True):
            ann.user_permissions.set(permissions(*codenames, *more))
            client = client_of(type(ann).objects.get(pk=ann.pk))
            assert [ACTIVITY in client.get(page).content.decode() for page in pages] == [expected] * 2
            assert client.get(ACTIVITY).status_code == (200 if expected else 403)


class TestTheTitle:
    """The list of what one link shows is named after it."""

    def test_names_the_workflow_the_run_and_the_token(self, staff: Any, workflow: Workflow) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        token, _secret = Token.objects.issue(user=staff, name="night engine", scopes=[])
        for query, title in (
            (f"workflow={workflow.pk}", "Activity: momentum"),
            (f"token={token.pk}", "Activity: night engine"),
            (f"workflow_execution={run.pk}", "Activity: momentum · "),
        ):
            assert title in client_of(staff).get(f"{ACTIVITY}?{query}").content.decode()

    def test_is_the_id_of_what_is_not_there_or_may_not_be_seen(self, staff: Any) -> None:
        token, _secret = Token.objects.issue(user=staff, name="night engine", scopes=[])
        viewer = UserFactory(is_staff=True)
        viewer.user_permissions.set(permissions("view_workflowexecution"))
        html = client_of(viewer).get(f"{ACTIVITY}?token={token.pk}").content.decode()
        assert f"Activity: {token.pk}" in html
        assert "night engine" not in html
        assert f"Activity: {MISSING}" in client_of(staff).get(f"{ACTIVITY}?workflow={MISSING}").content.decode()
