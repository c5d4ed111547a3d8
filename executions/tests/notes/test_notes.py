"""Notes on a run: who writes, edits and removes them, and that every version is kept with the run."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import limits, run_notes
from executions.audit import Through, act_as
from executions.exceptions import SecretsUnknown
from executions.models import Activity, RunNote, WorkflowExecution
from executions.run_notes import NoteGone
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
SECRET = "hunter2-and-more"
RUNS = "/admin/executions/workflowexecution/"


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow), "failed")


def operator(name: str = "ann") -> Any:
    """Return staff who may view and change runs."""
    user = UserFactory(username=name, is_staff=True)
    user.user_permissions.set(permissions("view_workflowexecution", "change_workflowexecution", "view_nodeexecution"))
    return user


def write(run: WorkflowExecution, user: Any, text: str = "the vendor was late") -> run_notes.Note:
    with act_as(through=Through.ADMIN, user=user):
        return run_notes.write(run.pk, text)


def texts(run: WorkflowExecution) -> list[str]:
    return [note.text for note in run_notes.notes_of(run.pk)]


class TestVersions:
    def test_a_note_has_a_number_an_author_and_a_time(self, run: Any) -> None:
        write(run, operator())
        write(run, operator("ben"), "  told them\r\nby phone  ")
        first, second = run_notes.notes_of(run.pk)
        assert (first.number, first.text, first.written_by, first.edited_at) == (1, "the vendor was late", "ann", None)
        assert (second.number, second.text, second.written_by) == (2, "told them\nby phone", "ben")
        assert first.written_at < second.written_at

    def test_an_edited_note_says_who_edited_it_and_keeps_its_author(self, run: Any) -> None:
        write(run, operator())
        with act_as(user=operator("ben")):
            run_notes.edit(run.pk, 1, "the vendor was early")
        (note,) = run_notes.notes_of(run.pk)
        assert (note.text, note.written_by, note.edited_by) == ("the vendor was early", "ann", "ben")
        assert note.edited_at is not None

    def test_the_number_of_a_removed_note_is_not_given_again(self, run: Any) -> None:
        ann = operator()
        write(run, ann)
        with act_as(user=ann):
            run_notes.remove(run.pk, 1)
        assert texts(run) == []
        assert write(run, ann, "another").number == 2
        for change in (lambda: run_notes.remove(run.pk, 1), lambda: run_notes.edit(run.pk, 1, "x")):
            with pytest.raises(NoteGone, match="no longer there"):
                change()

    def test_every_version_is_in_the_activity(self, run: Any, staff: Any) -> None:
        ann = operator()
        write(run, ann, "first")
        with act_as(user=ann):
            run_notes.edit(run.pk, 1, "second")
            run_notes.remove(run.pk, 1)
        rows = Activity.objects.visible_to(staff).filter(kind="note", run_id=run.pk).order_by("id")
        assert [(row.act, row.reason, row.username) for row in rows] == [
            ("note", "first", "ann"), ("edit_note", "second", "ann"), ("remove_note", "", "ann"),
        ]  # fmt: skip
        html = client_of(staff).get(f"/admin/executions/activity/?workflow_execution={run.pk}").content.decode()
        assert "edit the note" in html
        assert "second" in html

    def test_notes_are_deleted_with_their_run(self, run: Any) -> None:
        write(run, operator())
        run.delete()
        assert not RunNote.objects.exists()

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [("", "the note is empty"), (" \n ", "the note is empty"), ("x" * 4_001, "at most 4000 characters")],
    )
    def test_what_is_no_note_is_refused_with_a_sentence(self, run: Any, text: str, sentence: str) -> None:
        with pytest.raises(ValidationError, match=sentence):
            run_notes.write(run.pk, text)
        assert texts(run) == []

    def test_a_run_has_a_bounded_number_of_notes(self, run: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "NOTE_VERSIONS", 2)
        for _ in range(2):
            run_notes.write(run.pk, "x")
        with pytest.raises(ValidationError, match="2 notes and changes of notes already"):
            run_notes.write(run.pk, "x")
        with pytest.raises(ValidationError, match="2 notes and changes"):
            run_notes.edit(run.pk, 1, "y")
        run_notes.remove(run.pk, 1)  # what a person must not have written can always go
        assert len(texts(run)) == 1


class TestSecrets:
    def test_the_secrets_of_the_run_are_masked_in_its_notes(self, workflow: Any) -> None:
        run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"db": SECRET}})
        assert SECRET not in write(run, operator(), f"it connects with {SECRET}").text
        with act_as(user=operator("ben")):
            assert SECRET not in run_notes.edit(run.pk, 1, f"again {SECRET}").text
        assert SECRET not in str(list(RunNote.objects.values()))

    def test_what_a_note_names_as_a_secret_is_masked(self, run: Any) -> None:
        assert "s3cret-of-mine" not in write(run, operator(), "use password=s3cret-of-mine").text

    def test_a_note_on_a_run_whose_secrets_are_gone_is_refused(self, workflow: Any) -> None:
        run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"db": SECRET}})
        with connection.cursor() as cursor:
            cursor.execute("UPDATE workflow_executions SET encrypted_secrets = '' WHERE id = %s", [run.pk])
        with pytest.raises(SecretsUnknown):
            run_notes.write(run.pk, "a note")

    def test_a_note_can_be_removed_when_they_are_gone_also_by_a_request_with_an_id(self, workflow: Any) -> None:
        run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"db": SECRET}})
        write(run, operator())
        with connection.cursor() as cursor:
            cursor.execute("UPDATE workflow_executions SET encrypted_secrets = '' WHERE id = %s", [run.pk])
        with act_as(request_id=f"of-{SECRET}", given_id=f"of-{SECRET}"):
            run_notes.remove(run.pk, 1)
        assert texts(run) == []
        assert SECRET not in str(list(RunNote.objects.values()))


class TestPage:
    def page(self, user: Any, run: WorkflowExecution) -> str:
        return str(client_of(user).get(f"{RUNS}{run.pk}/change/").content.decode())

    def post(self, user: Any, run: WorkflowExecution, path: str = "", **fields: str) -> Any:
        return client_of(user).post(f"{RUNS}{run.pk}/notes/{path}", fields, follow=True)

    def test_an_operator_writes_edits_and_removes_a_note(self, run: Any) -> None:
        ann = operator()
        assert "The note was added." in self.post(ann, run, text="late <b>again</b>").content.decode()
        assert "late &lt;b&gt;again&lt;/b&gt;" in self.page(ann, run)
        assert "The note was changed." in self.post(ann, run, "1/", **{"text-1": "on time"}).content.decode()
        assert texts(run) == ["on time"]
        assert "The note was removed." in self.post(ann, run, "1/", act="remove").content.decode()
        assert texts(run) == []
        assert "no longer there" in self.post(ann, run, "1/", act="remove").content.decode()

    def test_the_author_is_the_user_of_the_session(self, run: Any) -> None:
        self.post(operator(), run, text="late")
        version = RunNote.objects.get()
        assert (version.username, version.through) == ("ann", "admin")

    def test_the_note_of_another_is_changed_by_an_administrator_alone(self, run: Any, staff: Any) -> None:
        write(run, operator())
        ben = operator("ben")
        assert "Edit or remove" not in self.page(ben, run)
        for fields in ({"text-1": "x"}, {"act": "remove"}):
            assert self.post(ben, run, "1/", **fields).status_code == 403
        assert texts(run) == ["the vendor was late"]
        assert "Edit or remove" in self.page(staff, run)
        self.post(staff, run, "1/", act="remove")
        assert texts(run) == []

    def test_a_viewer_reads_and_does_not_write(self, run: Any, teammate: Any) -> None:
        write(run, operator())
        html = self.page(teammate, run)
        assert "the vendor was late" in html
        assert "notes-form" not in html.replace('form="notes-form"', "")
        assert "New note" not in html
        assert self.post(teammate, run, text="x").status_code == 403

    def test_a_run_that_the_user_may_not_see_has_no_notes_for_them(self, run: Any) -> None:
        stranger = UserFactory(is_staff=True)
        stranger.user_permissions.set(permissions("change_workflowexecution"))
        assert self.post(stranger, run, text="x").status_code in {403, 404}
        assert texts(run) == []

    def test_what_is_refused_is_said(self, run: Any) -> None:
        assert "the note is empty" in self.post(operator(), run, text=" ").content.decode()

    def test_an_address_that_is_read_is_405(self, run: Any) -> None:
        assert client_of(operator()).get(f"{RUNS}{run.pk}/notes/").status_code == 405


class TestList:
    def rows(self, user: Any) -> str:
        return str(client_of(user).get(f"{RUNS}?status=failed").content.decode())

    def test_runs_with_notes_are_marked_with_their_number(self, run: Any, teammate: Any) -> None:
        assert "note-mark" not in self.rows(teammate)
        for _ in range(2):
            write(run, operator(f"user {_}"))
        run_notes.remove(run.pk, 1)
        html = self.rows(teammate)
        assert html.count("note-mark") == 1
        assert "1 note" in html

    def test_the_number_of_queries_does_not_grow_with_the_runs(self, workflow: Any, teammate: Any) -> None:
        def queries() -> int:
            write(
                in_state(WorkflowExecutionFactory(workflow=workflow), "failed"),
                operator(f"user {RunNote.objects.count()}"),
            )
            with CaptureQueriesContext(connection) as found:
                self.rows(teammate)
            return len(found)

        first = queries()
        assert [queries() for _ in range(3)] == [first] * 3

    def test_the_notes_of_a_page_are_read_from_an_index(self, run: Any, only: Any) -> None:
        only("execution_notes", "idx_execution_notes_workflow_execution")
        rows = RunNote.objects.filter(workflow_execution__in=[run.pk]).order_by()
        assert uses(plan(rows), "idx_execution_notes_workflow_execution")


class TestApi:
    def url(self, run: WorkflowExecution, number: int | None = None) -> str:
        return f"/api/v1/executions/{run.pk}/notes/" + (f"{number}/" if number else "")

    def test_a_note_is_written_read_edited_and_removed(self, run: Any, api: Any, owner: Any) -> None:
        client = api(owner)
        written = client.post(self.url(run), {"text": "the vendor was late"}, format="json")
        assert written.status_code == 201
        assert (written.json()["number"], written.json()["written_by"]) == (1, "owner")
        edited = client.patch(self.url(run, 1), {"text": "on time"}, format="json").json()
        assert (edited["text"], edited["edited_by"]) == ("on time", "owner")
        assert client.get(self.url(run)).json() == {"results": [edited]}
        assert client.delete(self.url(run, 1)).status_code == 204
        assert client.get(self.url(run)).json() == {"results": []}
        assert client.delete(self.url(run, 1)).status_code == 404

    def test_a_request_that_is_repeated_writes_one_note(self, run: Any, api: Any, owner: Any) -> None:
        client = api(owner)
        for _ in range(2):
            answer = client.post(self.url(run), {"text": "x"}, format="json", HTTP_IDEMPOTENCY_KEY="once")
            assert answer.status_code == 201
        assert texts(run) == ["x"]

    def test_the_note_of_another_is_403(self, run: Any, api: Any, owner: Any) -> None:
        write(run, operator())
        answer = api(owner).patch(self.url(run, 1), {"text": "x"}, format="json")
        assert answer.status_code == 403
        assert "Only the author of this note" in answer.json()["detail"]

    @pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": 7}, {"text": "x" * 4_001}, {"text": "x", "by": "me"}])
    def test_another_body_is_400(self, run: Any, api: Any, owner: Any, body: Any) -> None:
        assert api(owner).post(self.url(run), body, format="json").status_code == 400


def test_a_change_of_nothing_leaves_the_note_as_it_is(run: Any, api: Any) -> None:
    author = operator()
    write(run, author)
    answer = api(author).patch(f"/api/v1/executions/{run.pk}/notes/1/", {}, format="json")
    assert (answer.status_code, answer.json()["text"], answer.json()["edited_at"]) == (200, "the vendor was late", None)


class TestGone:
    """Somebody removes the note, or deletes the run, between the look at the author and the change."""

    def test_the_api_answers_404_for_a_note(self, run: Any, api: Any, monkeypatch: Any) -> None:
        author = operator()
        note = write(run, author)
        monkeypatch.setattr(run_notes, "note_of", lambda _run, _number: note)
        run_notes.remove(run.pk, 1)
        address = f"/api/v1/executions/{run.pk}/notes/1/"
        for answer in (api(author).delete(address), api(author).patch(address, {"text": "x"}, format="json")):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_the_page_says_that_the_run_is_not_there(self, run: Any, monkeypatch: Any) -> None:
        author = operator()
        monkeypatch.setattr(run_notes, "_lock", lambda _run: WorkflowExecution.objects.get(pk=uuid7()))
        answer = client_of(author).post(f"{RUNS}{run.pk}/notes/", {"text": "x"})
        assert (answer.status_code, "Nothing has this id" in answer.content.decode()) == (404, True)
