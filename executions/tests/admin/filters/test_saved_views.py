"""Saved views of the list of runs: kept on the server under a name, shared by an address, one of them the default."""

import threading
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.models import Listed, SavedView, saved_view
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

RUNS = "/admin/executions/workflowexecution/"
VIEWS = f"{RUNS}views/"


def save(user: Any, filters: str = "status=failed", name: str = "Broken", **boxes: str) -> Any:
    data = {"new-name": name, "filters": filters} | {f"new-{box}": value for box, value in boxes.items()}
    return client_of(user).post(VIEWS, data, follow=True)


def change(user: Any, view: SavedView, **data: str) -> Any:
    return client_of(user).post(f"{VIEWS}{view.pk}/change/", {"name": view.name} | data, follow=True)


def messages_of(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


@pytest.fixture
def colleague(teammate: Any) -> Any:
    """Another one of staff who may view everything, and share views."""
    user = UserFactory(username="colleague", is_staff=True)
    user.user_permissions.set([*teammate.user_permissions.all(), *permissions("share_savedview")])
    return get_user_model().objects.get(pk=user.pk)


class TestSaving:
    def test_a_view_keeps_the_filters_of_the_address_and_nothing_else_of_it(self, teammate: Any) -> None:
        save(teammate, "status=failed&ended=7&q=nightly&older=2026-01-01~x&view=all&p=3&not_trigger_type=")
        view = SavedView.objects.get()
        assert view.filters == {"status": "failed", "ended": "7", "q": "nightly"}
        assert (view.owner, view.name, view.is_shared, view.is_default) == (teammate, "Broken", False, False)

    def test_a_view_opens_the_list_with_its_filters_and_shows_its_name(self, teammate: Any) -> None:
        response = save(teammate)
        view = SavedView.objects.get()
        assert response.redirect_chain == [(f"{RUNS}?status=failed&view={view.pk}", 302)]
        assert messages_of(response) == "The view “Broken” is saved."
        assert f'<a href="{RUNS}?status=failed&amp;view={view.pk}" aria-current="page">Broken</a>' in " ".join(
            response.content.decode().split()
        )

    def test_a_filter_that_the_list_does_not_have_is_named_and_nothing_is_kept(self, teammate: Any) -> None:
        assert "nothing was saved: digest and status" in messages_of(save(teammate, "status=bogus&digest=x&ended=1"))
        assert not SavedView.objects.exists()

    @pytest.mark.parametrize("name", ["", "  ", "x" * 101])
    def test_an_invalid_name_is_refused_with_a_sentence(self, name: str, teammate: Any) -> None:
        assert messages_of(save(teammate, name=name)).startswith("Name: ")
        assert not SavedView.objects.exists()

    def test_a_name_is_taken_once_of_each_owner(self, teammate: Any, colleague: Any) -> None:
        save(teammate)
        assert "You have a view of this name" in messages_of(save(teammate, "status=running"))
        save(colleague)
        assert [view.filters for view in SavedView.objects.all()] == [{"status": "failed"}, {"status": "failed"}]

    def test_no_more_views_than_the_limit_are_saved(self, teammate: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(saved_view, "MAX_VIEWS", 1)
        save(teammate)
        assert "You have 1 views" in messages_of(save(teammate, name="Another"))

    def test_what_is_too_long_is_refused(self, teammate: Any) -> None:
        assert "too long" in messages_of(save(teammate, "q=" + "x" * saved_view.MAX_FILTER_LENGTH))


class TestChanging:
    def test_a_view_is_renamed_and_keeps_its_filters(self, teammate: Any) -> None:
        save(teammate)
        change(teammate, SavedView.objects.get(), name="Not well", filters="status=running")
        view = SavedView.objects.get()
        assert (view.name, view.filters) == ("Not well", {"status": "failed"})

    def test_its_filters_are_replaced_by_those_that_are_shown(self, teammate: Any) -> None:
        save(teammate)
        change(teammate, SavedView.objects.get(), filters="status=running&ended=1", replace="on")
        assert SavedView.objects.get().filters == {"status": "running", "ended": "1"}

    def test_the_list_says_when_it_is_no_longer_as_the_view_has_it(self, teammate: Any) -> None:
        save(teammate)
        view = SavedView.objects.get()
        page = client_of(teammate).get(f"{RUNS}?status=failed&view={view.pk}")
        assert not page.context["view_is_changed"]
        page = client_of(teammate).get(f"{RUNS}?status=failed&trigger_type=event&view={view.pk}")
        assert page.context["view_is_changed"]
        assert "Back to the view as it is saved" in page.content.decode()

    def test_the_form_of_the_filters_keeps_the_view_so_that_it_can_be_replaced(self, teammate: Any) -> None:
        save(teammate)
        view = SavedView.objects.get()
        html = client_of(teammate).get(f"{RUNS}?status=failed&view={view.pk}").content.decode()
        form = html.partition('class="filter-bar"')[2].partition("</form>")[0]
        assert f'<input type="hidden" name="view" value="{view.pk}">' in form

    def test_a_view_is_deleted_and_no_run(self, teammate: Any) -> None:
        WorkflowExecutionFactory()
        save(teammate)
        response = client_of(teammate).post(
            f"{VIEWS}{SavedView.objects.get().pk}/delete/", {"confirmed": "yes"}, follow=True
        )
        assert not SavedView.objects.exists()
        assert len(response.context["cl"].result_list) == 1


class TestWhoMay:
    def test_a_view_is_its_owners_alone_until_it_is_shared(self, teammate: Any, colleague: Any) -> None:
        save(colleague)
        view = SavedView.objects.get()
        assert client_of(teammate).get(f"{VIEWS}{view.pk}/").status_code == 404
        assert "Broken" not in client_of(teammate).get(f"{RUNS}?view={view.pk}").content.decode()
        change(colleague, view, is_shared="on")
        response = client_of(teammate).get(f"{VIEWS}{view.pk}/", follow=True)
        assert response.redirect_chain == [(f"{RUNS}?status=failed&view={view.pk}", 302)]
        assert "Broken" in response.content.decode()

    def test_sharing_takes_a_permission(self, teammate: Any) -> None:
        save(teammate, is_shared="on", is_default_for_all="on")
        view = SavedView.objects.get()
        assert (view.is_shared, view.is_default_for_all) == (False, False)
        assert 'name="new-is_shared"' not in client_of(teammate).get(f"{RUNS}?status=failed").content.decode()

    @pytest.mark.parametrize("listed", Listed.values)
    def test_the_permission_is_named_after_what_it_allows(self, colleague: Any, listed: str) -> None:
        data = {"new-name": "x", "filters": "", "list": listed, "new-is_shared": "on", "new-is_default_for_all": "on"}
        client_of(colleague).post(VIEWS, data)
        view = SavedView.objects.get()
        assert (view.listed, view.is_shared, view.is_default_for_all) == (listed, True, True)
        name = Permission.objects.get(codename="share_savedview").name
        assert name == "Can share saved views of all lists, and choose everybody’s default"

    @pytest.mark.parametrize("act", ["change", "delete"])
    def test_anothers_view_is_changed_only_with_the_permission(self, act: str, teammate: Any, colleague: Any) -> None:
        save(colleague, is_shared="on")
        view = SavedView.objects.get()
        path, data = f"{VIEWS}{view.pk}/{act}/", {"name": "Mine now", "confirmed": "yes"}
        assert client_of(teammate).post(path, data).status_code == 403
        assert SavedView.objects.get().name == "Broken"
        teammate.user_permissions.add(*permissions(f"{act}_savedview"))
        assert client_of(get_user_model().objects.get(pk=teammate.pk)).post(path, data).status_code == 302

    @pytest.mark.parametrize("act", ["change", "delete"])
    def test_a_private_view_is_not_found_by_other_users(self, act: str, staff: Any, teammate: Any) -> None:
        save(teammate)
        assert client_of(staff).post(f"{VIEWS}{SavedView.objects.get().pk}/{act}/", {"name": "x"}).status_code == 404

    def test_whoever_may_not_see_runs_has_no_views(self, newcomer: Any, stranger: Any, colleague: Any) -> None:
        save(colleague, is_shared="on")
        pk = SavedView.objects.get().pk
        assert client_of(newcomer).post(VIEWS, {"new-name": "x", "filters": ""}).status_code == 403
        assert client_of(newcomer).get(f"{VIEWS}{pk}/").status_code == 403
        assert "/admin/login/" in client_of(stranger).post(VIEWS, {"new-name": "x"})["Location"]

    @pytest.mark.parametrize("act", ["", "{pk}/change/", "{pk}/delete/"])
    def test_nothing_is_changed_by_a_link_or_from_elsewhere(self, act: str, teammate: Any) -> None:
        save(teammate)
        path = VIEWS + act.format(pk=SavedView.objects.get().pk)
        assert client_of(teammate).get(path).status_code == 405
        elsewhere = Client(enforce_csrf_checks=True)
        elsewhere.force_login(teammate)
        assert elsewhere.post(path, {"new-name": "x", "name": "x"}).status_code == 403
        assert SavedView.objects.get().name == "Broken"


class TestDefault:
    def test_the_list_without_filters_lands_on_it(self, teammate: Any) -> None:
        save(teammate, is_default="on")
        response = client_of(teammate).get(RUNS)
        assert response["Location"] == f"{RUNS}?status=failed&view={SavedView.objects.get().pk}"

    def test_all_runs_can_always_be_reached(self, teammate: Any) -> None:
        WorkflowExecutionFactory()
        save(teammate, is_default="on")
        page = client_of(teammate).get(RUNS, follow=True)
        assert 'href="/admin/executions/workflowexecution/?view=all">All</a>' in page.content.decode()
        assert page.context["cl"].clear_all_filters_qs == "?view=all"
        assert len(client_of(teammate).get(f"{RUNS}?view=all").context["cl"].result_list) == 1

    def test_no_link_of_a_filter_leads_back_to_it(self, teammate: Any) -> None:
        save(teammate, is_default="on")
        client = client_of(teammate)
        (chip,) = client.get(f"{RUNS}?status=failed").context["cl"].chips
        assert chip.without == "?view=all"
        assert client.get(f"{RUNS}?status=&tag=")["Location"] == f"{RUNS}?view=all"

    def test_there_is_one_of_each_owner_the_last_one_chosen(self, teammate: Any, colleague: Any) -> None:
        save(teammate, is_default="on")
        save(teammate, "status=running", name="At work", is_default="on")
        save(colleague, is_default="on")
        assert list(SavedView.objects.filter(owner=teammate, is_default=True).values_list("name", flat=True)) == [
            "At work"
        ]
        assert SavedView.objects.filter(is_default=True).count() == 2

    def test_the_default_for_all_is_used_by_users_without_their_own(self, teammate: Any, colleague: Any) -> None:
        save(colleague, is_default_for_all="on")
        assert "status=failed" in client_of(teammate).get(RUNS)["Location"]
        save(teammate, "status=running", is_default="on")
        assert "status=running" in client_of(teammate).get(RUNS)["Location"]
        assert SavedView.objects.get(owner=colleague).is_shared

    def test_the_database_knows_one_default_and_one_name_per_owner(self, teammate: Any) -> None:
        SavedView(owner=teammate, name="a", is_default=True).put()
        for wrong in (
            {"name": "a"},
            {"name": "b", "is_default": True},
            {"name": "c", "is_default_for_all": True},
            {"name": "d", "filters": []},
            {"name": ""},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                SavedView.objects.bulk_create([SavedView(owner=teammate, **wrong)])

    def test_filters_that_are_no_texts_are_refused(self, teammate: Any) -> None:
        with pytest.raises(ValidationError):
            SavedView(owner=teammate, name="a", filters={"status": 1}).put()


@pytest.mark.django_db(transaction=True)
def test_of_two_that_become_the_default_at_once_one_does_and_none_breaks() -> None:
    owner, gate, refusals = UserFactory(), threading.Barrier(2), []

    def put(name: str) -> None:
        gate.wait()
        try:
            SavedView(owner=owner, name=name, is_default=True).put()
        except ValidationError as error:
            refusals.extend(error.messages)
        connection.close()

    threads = [threading.Thread(target=put, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SavedView.objects.filter(is_default=True).count() == 1
    assert all("just become" in refusal for refusal in refusals)


class TestWhatNoLongerExists:
    def test_a_view_whose_filter_is_gone_says_so_and_shows_no_rows(self, teammate: Any) -> None:
        WorkflowExecutionFactory()
        view = SavedView(owner=teammate, name="Old", filters={"colour": "red", "status": "pending"}, is_default=True)
        view.put()
        response = client_of(teammate).get(RUNS, follow=True)
        html = response.content.decode()
        assert response.status_code == 400
        assert "The view “Old” has a filter that no longer exists" in html
        assert "<code>colour</code>" in html
        assert f"?status=pending&amp;view={view.pk}" in html
        assert "?view=all" in html

    def test_a_view_whose_workflow_is_deleted_says_so_and_shows_no_rows(self, teammate: Any) -> None:
        workflow = WorkflowFactory()
        save(teammate, f"workflow={workflow.pk}")
        Workflow.objects.filter(pk=workflow.pk).delete()
        html = client_of(teammate).get(f"{VIEWS}{SavedView.objects.get().pk}/", follow=True).content.decode()
        assert "no longer exists" in html
        assert "<dt>Workflow <code>" in html


def test_the_page_asks_as_many_queries_for_many_views_as_for_one(teammate: Any, colleague: Any) -> None:
    client, counts = client_of(teammate), []
    in_state(WorkflowExecutionFactory(), "failed")
    for more in (1, 20):
        for number in range(more):
            SavedView(owner=teammate, name=f"{more}.{number}").put()
            SavedView(owner=colleague, name=f"{more}.{number}", is_shared=True).put()
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{RUNS}?status=failed")
        counts.append(len(queries))
    assert counts[0] == counts[1]


class TestPlans:
    def test_own_views_come_by_the_index_of_their_names(self, only: Any, teammate: Any) -> None:
        only("saved_views", "")
        assert uses(plan(SavedView.objects.owned_by(teammate)), saved_view.ONE_NAME)

    def test_shared_ones_come_by_an_index_that_holds_them_alone(self, only: Any, teammate: Any) -> None:
        only("saved_views", "idx_saved_views_shared")
        assert uses(plan(SavedView.objects.shared_with(teammate)[:50]), "idx_saved_views_shared")

    def test_the_default_comes_by_two_small_indexes(self, only: Any, teammate: Any) -> None:
        only("saved_views", "")
        own = SavedView.objects.filter(owner=teammate, is_default=True)
        assert uses(plan(own), saved_view.ONE_DEFAULT) or uses(plan(own), saved_view.ONE_NAME)
